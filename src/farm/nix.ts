// Runs `nix` for a farm: with flakes enabled, with the farm's settings, and without a person.

import { TetherError } from "../util/errors.js";
import { printable } from "../util/printable.js";
import { withoutPasswords } from "./passwords.js";
import { unattended } from "./unattended.js";
import { runGroup, type GroupResult } from "../util/run-group.js";

export interface NixCall {
  readonly cwd?: string;
  /** By default what is left of the run. */
  readonly ms?: number;
  readonly signal?: AbortSignal;
  readonly onLine?: (line: string) => void;
}

export interface Nix {
  /** Resolves however it ends. @throws TetherError `nix-missing`, `timeout`; the signal's reason */
  run(args: readonly string[], call: NixCall): Promise<GroupResult>;
}

const features = ["--extra-experimental-features", "nix-command flakes"];

/** Long enough for anything but a build, in milliseconds. */
const deadlineMs = 3_600_000;

export function createNix(
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
  settings: Readonly<Record<string, string | number | boolean | undefined>>,
): Nix {
  // Not by arguments: a setting may be a token, and everybody on the machine can read those.
  const lines = Object.entries(settings).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} = ${String(value).replaceAll("\n", " ")}`],
  );
  const config = [env["NIX_CONFIG"] ?? "", ...lines].join("\n");
  return {
    run: async (args, call) => {
      const { cwd, onLine, ms = deadlineMs } = call;
      const result = await runGroup("nix", [...features, ...args], {
        env: { ...unattended(env), NIX_CONFIG: config },
        signal: call.signal ?? signal,
        ms,
        ...(cwd === undefined ? {} : { cwd }),
        ...(onLine === undefined ? {} : { onLine }),
      });
      if (result !== null) return result;
      throw new TetherError("nix-missing", "nix is not on the PATH", {
        remedy: "Start the farm with a PATH that has Nix's programs.",
      });
    },
  };
}

/** What Nix complained of, on one line. */
export function nixWords(stderr: string): string {
  const at = stderr.lastIndexOf("error:");
  const said = withoutPasswords(printable(stderr.slice(Math.max(at, 0)))).slice(0, 1_000);
  return said.replace(/^error: /, "") || "nix does not say why";
}
