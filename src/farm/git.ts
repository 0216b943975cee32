// Runs git without a person: it asks nothing, and neither the caller's own repository nor any hook counts.

import { runGroup, type GroupResult } from "../util/run-group.js";
import { TetherError } from "../util/errors.js";
import { printable } from "../util/printable.js";
import { withoutPasswords } from "./passwords.js";
import { unattended } from "./unattended.js";

export interface GitOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Who commits; null for whom git is configured for. */
  readonly author: string | null;
}

/** Resolves however it ends. @throws TetherError `git-missing`, `timeout`; the signal's reason */
export type Git = (...args: string[]) => Promise<GroupResult>;

/** A large repository over a slow line, in milliseconds. */
const deadlineMs = 3_600_000;

const nobody = { name: "Build farm", address: "farm@localhost" };

export function createGit({ env, cwd, signal, author }: GitOptions): Git {
  const [, name, address] = /^(.*) <(.*)>$/.exec(author ?? "") ?? [];
  const person =
    name === undefined || address === undefined
      ? []
      : ["-c", `user.name=${name}`, "-c", `user.email=${address}`];
  const quiet = ["-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null", "-c", "gc.autoDetach=false"];
  return async (...args) => {
    const result = await runGroup("git", [...person, ...quiet, ...args], {
      env: unattended(env),
      cwd,
      signal,
      ms: deadlineMs,
    });
    if (result !== null) return result;
    throw new TetherError("git-missing", "git is not on the PATH", { remedy: "Install git." });
  };
}

/** Whom to commit as where git knows nobody. */
export async function defaultAuthor(git: Git): Promise<string | null> {
  const known = await git("config", "user.email");
  return known.code === 0 ? null : `${nobody.name} <${nobody.address}>`;
}

/** The last of what git has said, without passwords. */
export function gitWords({ stderr, code }: GroupResult): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("hint:"));
  const said = lines.slice(-6).map((line) => withoutPasswords(printable(line)));
  return said.join("; ") || `it ended with ${code ?? "a signal"}`;
}
