// `nix-tether hook-script`: where the post-build hook lies, for root's nix.conf.

import { fileURLToPath } from "node:url";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";

/** Returns the exit code. */
export function hookScript({ stdout }: CliContext): number {
  // The same two folders up from `src/cli` and from `dist/cli`.
  stdout.write(`${fileURLToPath(new URL("../../hooks/post-build-hook.sh", import.meta.url))}\n`);
  return exitCode.ok;
}
