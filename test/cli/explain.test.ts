// The command, with a daemon that is told what to say.

import { symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { ControlRequest } from "../../src/control/messages.js";
import { parseRequest } from "../../src/control/request.js";
import { cacheFacts, hashPart, request, storePath } from "../support/explained.js";
import { daemon, shell } from "../support/shell.js";
import { cacheStatus, statusReport } from "../support/status-report.js";

const { memory } = cacheFacts({}, { requests: [request("away", 1)] });
const reply = { ok: true, status: statusReport({ pi: cacheStatus("pi") }), memory: { pi: memory } } as const;

describe("explain", () => {
  test.each([
    ["a store path", storePath, storePath],
    ["a file in one", `${storePath}/bin/hello`, storePath],
    ["its name", `${hashPart}-hello-2.12`, storePath],
    ["its first characters", hashPart, null],
  ])("takes %s", async (_what, word, whole) => {
    const here = shell();
    const asked: ControlRequest[] = [];
    await daemon(here, (told) => {
      asked.push(told);
      return reply;
    });
    const { code, out, err } = await here.run("explain", word, "--json");
    expect([code, err]).toEqual([0, ""]);
    expect(asked).toEqual([{ command: "explain", hashPart }]);
    expect(JSON.parse(out)).toMatchObject({
      version: 1,
      hashPart,
      path: whole,
      caches: { pi: { verdict: "away", text: expect.stringContaining("pi was away") as string } },
    });
  });

  test("takes a link such as ./result, and says what is none", async () => {
    const here = shell();
    await daemon(here, () => reply);
    const link = path.join(here.root, "result");
    symlinkSync("/nix/store/nowhere", link);
    for (const word of [link, "hello", hashPart.slice(1), `/tmp/${hashPart}`])
      expect(await here.run("explain", word)).toMatchObject({ code: 2, out: "" });
  });

  test("ends as others where no daemon runs", async () => {
    expect(await shell().run("explain", hashPart)).toMatchObject({ code: 4, out: "" });
  });
});

test("the daemon takes nothing but a hash part", () => {
  expect(parseRequest(JSON.stringify({ command: "explain", hashPart }))).toEqual({
    command: "explain",
    hashPart,
  });
  for (const wrong of [hashPart.toUpperCase(), storePath, `${hashPart}0`, "", 3, null, undefined])
    expect(() => parseRequest(JSON.stringify({ command: "explain", hashPart: wrong }))).toThrow(
      "hashPart: the 32 characters that a store path begins with",
    );
});
