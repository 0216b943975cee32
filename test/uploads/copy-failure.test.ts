import { describe, expect, test } from "vitest";
import { copyFailure, explainFailure } from "../../src/uploads/copy-failure.js";

const path = "/nix/store/dx5qmzqxvba58980cr2c4s4jhrx9lf54-mine-1";
const copying = `copying 1 paths...\ncopying path '${path}' to 'unix:///tmp/pi.sock'...\n`;
const daemonSays = "unexpected Nix daemon error: \u001b[31;1merror:\u001b[0m";

// Recorded from the real programs: 2.8.0, 2.26.3 and 2.34.8 with LC_ALL=C.
describe.each([
  ["unsigned", path, "2.8", `error: cannot add path '${path}' because it lacks a valid signature\n`],
  [
    "unsigned",
    path,
    "2.26",
    `error: cannot add path '${path}' because it lacks a signature by a trusted key\n`,
  ],
  [
    "path-gone",
    path,
    "2.8",
    `error (ignored): error: reached end of FramedSource\nerror: getting status of '${path}': No such file or directory\n`,
  ],
  [
    "path-gone",
    path,
    "2.26",
    `error: path '/${path}' does not exist\n${daemonSays} writing to file: \u001b[35;1mBroken pipe\u001b[0m\n`,
  ],
  [
    "path-gone",
    path,
    "2.34",
    `error: path '${path}/' does not exist\n${daemonSays} write of \u001b[35;1m128\u001b[0m bytes: \u001b[35;1mBroken pipe\u001b[0m\n`,
  ],
  ["target-full", null, "2.8 and 2.26", "error: writing to file: No space left on device\n"],
  ["target-full", null, "2.34", "error: write of 65536 bytes: No space left on device\n"],
  [
    "target-read-only",
    null,
    "2.8 and 2.26",
    `${daemonSays} remounting \u001b[35;1m/pi/nix/store\u001b[0m writable: \u001b[35;1mInvalid argument\u001b[0m\nerror: cannot open connection to remote store 'unix:///tmp/pi.sock': error: reading from file: Connection reset by peer\n`,
  ],
  [
    "target-read-only",
    null,
    "2.34",
    `${daemonSays} remounting \u001b[35;1m"/pi/nix/store"\u001b[0m writable: \u001b[35;1mInvalid argument\u001b[0m\nerror: cannot open connection to remote store 'unix:///tmp/pi.sock': error: read of 32768 bytes: Connection reset by peer\n`,
  ],
  [
    "link-lost",
    null,
    "any",
    "error: cannot connect to socket at '/tmp/no.sock': No such file or directory\n",
  ],
  [
    "link-lost",
    null,
    "2.8",
    "error: cannot open connection to remote store 'unix:///tmp/c.sock': error: unexpected end-of-file\n",
  ],
  [
    "link-lost",
    null,
    "2.26 and 2.34",
    "error: cannot open connection to remote store 'unix:///tmp/c.sock': error: Nix daemon disconnected unexpectedly (maybe it crashed?)\n",
  ],
  ["copy-failed", null, "any", "error: something else\n"],
  ["copy-failed", null, "any", ""],
] as const)("%s of %s", (code, about, version, stderr) => {
  test(`with Nix ${version}`, () => {
    const noise = "warning: ignoring the client-specified setting 'store'\n";
    const failure = copyFailure(noise + copying + stderr);
    expect(failure).toMatchObject({ code, path: about });
    for (const word of ["copying", "warning", "\u001b"]) expect(failure.text).not.toContain(word);
    expect(failure.text).not.toBe("");
  });
});

test("in words for a person", () => {
  const full = { code: "target-full", text: "error: No space left on device", path: null } as const;
  expect(explainFailure(full, "pi")).toBe("pi has no room left (error: No space left on device)");
  expect(explainFailure({ ...full, code: "copy-failed" }, "pi")).toBe(full.text);
});
