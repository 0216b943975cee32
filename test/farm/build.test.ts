import { expect, test } from "vitest";
import { buildAttribute } from "../../src/farm/build.js";
import type { BuildReport } from "../../src/farm/report.js";
import { TetherError } from "../../src/util/errors.js";

/** Of a Nix that does not come to an end of its own. */
async function build(
  error: Error,
  signal = new AbortController().signal,
  begin = async (): Promise<string> => "/link",
): Promise<BuildReport> {
  return buildAttribute(
    { flake: "/", attribute: "a", timeoutMs: 1 },
    {
      nix: {
        run: async () => {
          throw error;
        },
      },
      roots: {
        begin,
        good: async () => undefined,
        lastGood: async () => "/nix/store/last",
        sweep: async () => undefined,
      },
      signal,
      clock: () => 0,
      onDoing: () => undefined,
    },
  );
}

test.each([
  [new TetherError("timeout", "nix: not done"), "it was not done in time: nix: not done"],
  [new Error("spawn EAGAIN"), "spawn EAGAIN"],
])("%s fails this one alone", async (error, text) => {
  const report = await build(error);
  expect(report).toMatchObject({ ok: false, lastGood: "/nix/store/last", failures: [{ text }] });
});

test("without nix, or called off, no other could be built either", async () => {
  await expect(build(new TetherError("nix-missing", "no nix"))).rejects.toThrow("no nix");
  await expect(build(new Error("x"), AbortSignal.abort(new Error("stopped")))).rejects.toThrow("stopped");
});

test("a folder that can not be made for it fails this one alone", async () => {
  const full = async (): Promise<string> => {
    throw new Error("ENOSPC");
  };
  expect(await build(new Error("x"), undefined, full)).toMatchObject({ failures: [{ text: "ENOSPC" }] });
});
