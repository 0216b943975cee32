// `nix-tether hook-script`: where the post-build hook lies, for root's nix.conf.

import { fileURLToPath } from "node:url";
import { packageFile } from "../util/package-files.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";

/** Returns the exit code. */
export function hookScript({ stdout }: CliContext): number {
  stdout.write(`${fileURLToPath(packageFile("hooks/post-build-hook.sh"))}\n`);
  return exitCode.ok;
}
