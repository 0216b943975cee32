// `nix-tether completion`: prints the script by which a shell completes this program's words.

import type { CommandWord } from "./command-line.js";
import { bashCompletion } from "./completion/bash.js";
import { fishCompletion } from "./completion/fish.js";
import { zshCompletion } from "./completion/zsh.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

/** Returns the exit code. */
export function completion(
  { stdout }: CliContext,
  shell: keyof typeof scripts,
  commands: readonly CommandWord[],
): number {
  stdout.write(scripts[shell](commands));
  return exitCode.ok;
}
