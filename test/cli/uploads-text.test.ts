import { expect, test } from "vitest";
import type { CacheStateName, CacheStatus, UploadTargetStatus } from "../../src/control/messages.js";
import { uploadsSentence } from "../../src/cli/uploads-text.js";
import { uploadTarget } from "../support/status-report.js";
import { storePath } from "../support/store-paths.js";

const copy = { paths: 3, size: 10_485_760, sent: 1_048_576 };

test.each<[string, Partial<UploadTargetStatus>, string | null, CacheStateName?, CacheStatus["way"]?]>([
  ["nothing to do", {}, null],
  [
    "a copy",
    {
      state: "copying",
      waiting: 3,
      left: 9_437_184,
      now: storePath("hello-2.12"),
      going: copy,
      rate: 1_048_576,
    },
    "copying hello-2.12, 1.0 of 10.0 MiB, 1.0 MiB/s, 9 s left; 3 paths to go",
  ],
  [
    "a copy that has just begun, of one path",
    { state: "copying", waiting: 1, left: 10_485_760, going: { ...copy, paths: 1, sent: 0 } },
    "copying 1 path, 0 of 10.0 MiB",
  ],
  [
    "a copy that stands still",
    { state: "copying", waiting: 1, left: 9_437_184, now: storePath("x"), going: copy, rate: 0 },
    "copying x, 1.0 of 10.0 MiB, 0 B/s",
  ],
  [
    "before a copy",
    { state: "copying", waiting: 2, left: 10 },
    "finding out what is to be copied; 2 paths to go",
  ],
  [
    "held back",
    { state: "held", waiting: 12, left: 2048, uploaded: 2, bytes: 512, reason: "on a metered connection" },
    "2 paths (512 B) done; 12 paths (2.0 KiB) held back: on a metered connection",
  ],
  ["a target in trouble", { state: "backing-off", waiting: 1, reason: "no room" }, "1 path waiting: no room"],
  ["away", { state: "offline", waiting: 1, left: 5 }, "1 path (5 B) waiting until it is in reach"],
  [
    "by a way without uploads",
    { state: "offline", waiting: 1 },
    "1 path waiting until it is reached by a way with uploads",
    "online",
    { host: "pi.vpn", uploads: false },
  ],
  ["paused", { state: "offline", waiting: 1 }, "1 path waiting until it is resumed", "paused"],
  [
    "what only a person can mend",
    { uploaded: 1, setAside: 2 },
    "1 path done; 2 set aside: `nix-tether queue list` says why",
  ],
])("%s", (_, changes, sentence, state = "online", way = null) => {
  expect(uploadsSentence(uploadTarget(changes), { state, way })).toBe(sentence);
});
