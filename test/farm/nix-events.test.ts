import { expect, test } from "vitest";
import { createBuildEvents, type BuildEvents } from "../../src/farm/nix-events.js";

const drv = (name: string): string => `/nix/store/2383pn054xv52f8n72bb07a8ilckzzyn-${name}.drv`;

function told(...messages: object[]): BuildEvents {
  const events = createBuildEvents();
  for (const message of messages) events.line(`@nix ${JSON.stringify(message)}`);
  return events;
}

const start = (id: number, name: string): object => ({
  action: "start",
  id,
  type: 105,
  fields: [drv(name), "", 1, 1],
});
const log = (id: number, line: string): object => ({ action: "result", id, type: 101, fields: [line] });
const stop = (id: number): object => ({ action: "stop", id });
// As Nix 2.8 colours it.
const error = (name: string): object => ({
  action: "msg",
  level: 0,
  msg: "",
  raw_msg: `\u001b[35;1m\u001b[0mbuilder for '\u001b[35;1m${drv(name)}\u001b[0m' failed with exit code 3\u001b[0m`,
});

test("a build that fails is told with the end of its log, also after others have ended", () => {
  const lines = Array.from({ length: 40 }, (_, index) => log(1, `line ${index}`));
  const others = Array.from({ length: 50 }, (_, index) => [start(index + 5, `x${index}`), stop(index + 5)]);
  const events = told(start(1, "bad"), ...lines, stop(1), ...others.flat(), error("bad"));
  const [failure] = events.failures();
  expect(failure).toMatchObject({
    derivation: drv("bad"),
    text: `builder for '${drv("bad")}' failed with exit code 3`,
  });
  expect(failure?.log).toHaveLength(30);
  expect(failure?.log.at(-1)).toBe("line 39");
  expect(events.counts()).toEqual({ built: 50, fetched: 0 });
});

test("what is fetched is counted, and what goes on is said", () => {
  const path = "/nix/store/kxx7b7d4fr8hbxkps0w1203081w9j42m-hello-2.12";
  const fetch = { action: "start", id: 9, type: 100, fields: [path, "https://x", "local"] };
  expect(told().doing()).toBeNull();
  expect(told(fetch).doing()).toBe("fetches hello-2.12");
  expect(told(fetch, start(1, "a"), start(2, "b")).doing()).toBe("builds a and 1 more");
  const done = told(fetch, stop(9));
  expect(done.doing()).toBeNull();
  expect(done.counts()).toEqual({ built: 0, fetched: 1 });
});

test("an error that is about no derivation, a warning, and what is no message at all", () => {
  const events = told(
    { action: "msg", level: 0, msg: "error: no such attribute" },
    { action: "msg", level: 1, msg: "w" },
  );
  for (const line of ["plain", "@nix {", "@nix 1", "@nix null", '@nix {"action":"result"}'])
    events.line(line);
  expect(events.failures()).toEqual([{ derivation: null, text: "no such attribute", log: [] }]);
});
