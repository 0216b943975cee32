// A shell on a terminal of its own, with this program's completions loaded: a test types into it and reads the screen.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, onTestFinished } from "vitest";
import { withDeadline } from "../../src/util/abort.js";

/** Shown when the shell waits for a line; typed in two halves, so that its own definition is not taken for it. */
const prompt = "READY>";

/** How each is started without anybody's configuration, and what it is told at first. */
const shells = {
  bash: {
    command: "bash --norc --noprofile -i",
    file: "nix-tether",
    setUp: (script: string) => `bind 'set bell-style none'; . ${script}; PS1='READY''> '`,
  },
  zsh: {
    command: "zsh -f -i",
    file: "nix-tether.zsh",
    setUp: (script: string) =>
      `unsetopt prompt_sp; autoload -U compinit; compinit -u -D; . ${script}; PROMPT='READY''> '`,
  },
  // As packages install it.
  "zsh by its fpath": {
    command: "zsh -f -i",
    file: "_nix-tether",
    setUp: (script: string) =>
      `unsetopt prompt_sp; fpath+=(${path.dirname(script)}); autoload -U compinit; compinit -u -D; PROMPT='READY''> '`,
  },
  fish: {
    command: "fish --no-config -i",
    file: "nix-tether.fish",
    setUp: (script: string) => `. ${script}; function fish_prompt; echo 'READY''> '; end`,
  },
};

export type ShellName = keyof typeof shells;

export interface InteractiveShell {
  /** Types `text` and waits until what the screen has shown since then matches `shown`. */
  type(text: string, shown: RegExp): Promise<void>;
  /** How often the program has been started so far. */
  calls(): number;
}

/** Starts it in `root`, its home. `nix-tether` is there a program that prints its arguments in angle brackets. */
export async function interactiveShell(
  name: ShellName,
  root: string,
  completions: string,
): Promise<InteractiveShell> {
  const { command, file, setUp } = shells[name];
  const bin = path.join(root, "bin");
  const calls = path.join(root, "calls");
  const script = path.join(root, "completions", file);
  for (const folder of [bin, path.dirname(script)]) mkdirSync(folder, { recursive: true });
  const program = `#!/bin/sh\necho >>${calls}\nprintf '<%s>' "$@"\necho\n`;
  writeFileSync(path.join(bin, "nix-tether"), program, { mode: 0o755 });
  writeFileSync(script, completions);
  // util-linux's script gives it the terminal, and hands on what is typed.
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    cwd: root,
    env: { HOME: root, PATH: `${bin}:${process.env["PATH"]}`, TERM: "xterm", LANG: "C.UTF-8" },
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  onTestFinished(async () => {
    // It would outlive a killed terminal for a moment, and write its history.
    const gone = once(child, "close");
    child.stdin.write("\u0015exit\r");
    await withDeadline(gone, 10_000, `ending ${name}`).catch(() => child.kill("SIGKILL"));
  });
  let screen = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (screen += text));

  const type = async (text: string, shown: RegExp): Promise<void> => {
    screen = "";
    child.stdin.write(text);
    await expect
      .poll(() => stripVTControlCharacters(screen), { timeout: 15_000, interval: 5 })
      .toMatch(shown);
  };
  await type(`${setUp(script)}\r`, new RegExp(prompt));
  return { type, calls: () => (existsSync(calls) ? readFileSync(calls, "utf8").length : 0) };
}
