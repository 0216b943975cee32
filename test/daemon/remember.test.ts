import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.js";
import { createRemember } from "../../src/daemon/remember.js";
import type { RecentAnswer } from "../../src/gateway/gateway.js";
import { fakePath, fakeUpstream } from "../support/fake-upstream.js";
import { testGateway } from "../support/gateway.js";
import { ask } from "../support/http.js";

const path = fakePath("a");
const { caches } = configSchema.parse({
  caches: { pi: { host: "pi.local", priority: 20 }, nas: { host: "nas.local", trusted: true } },
});

test("tells of every cache what was asked, and what its machine says now, which is not remembered", async () => {
  const gateway = await testGateway({
    caches: Object.entries(caches).map(([name, { priority }]) => ({ name, priority })),
  });
  gateway.setUpstream("pi", fakeUpstream(path));
  await ask(gateway.port, `/pi/7/${path.hashPart}.narinfo`);
  const remember = createRemember({ caches, gateway });
  const since = expect.stringMatching(/^\d{4}-.*Z$/) as string;
  for (let times = 0; times < 2; times += 1) {
    expect(await remember(path.hashPart)).toEqual({
      pi: {
        priority: 20,
        trusted: false,
        since,
        requests: [
          { at: since, outcome: "told", generation: 7, unsigned: false, bytes: 0, size: path.nar.length },
        ],
        now: { kind: "found", info: path.info },
      },
      nas: { priority: 30, trusted: true, since, requests: [], now: { kind: "away" } },
    });
  }
});

test("tells no more than the latest fifty requests", async () => {
  const answers = Array.from({ length: 60 }, (_, index): RecentAnswer => ({
    at: index,
    outcome: "absent",
    generation: 0,
    unsigned: false,
    bytes: 0,
    size: 0,
  }));
  const gateway = {
    ask: () => Promise.resolve({ kind: "absent" } as const),
    recent: () => ({ since: 0, answers }),
  };
  const memory = await createRemember({ caches, gateway })(path.hashPart);
  expect(memory["pi"]?.requests).toHaveLength(50);
  expect(memory["pi"]?.requests[0]?.at).toBe("1970-01-01T00:00:00.000Z");
});
