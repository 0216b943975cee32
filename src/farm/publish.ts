// Signing, pushing to the caches, and then git: who pulls the new lock is to find what it leads to.

import type { NixTools } from "../nix/nix-tools.js";
import { toSign } from "../nix/path-infos.js";
import type { SigningKey } from "../nix/signing-key.js";
import { TetherError, messageOf } from "../util/errors.js";
import { gitWords, type Git } from "./git.js";
import type { FarmReport, GitResult, PushResult } from "./report.js";
import type { PushTarget } from "./targets.js";

/**
 * Signs in the local store what was built on this machine, and the results themselves. Resolves to how many paths.
 * @throws TetherError `farm-unsigned`; the signal's reason
 */
export async function signPaths(
  paths: readonly string[],
  key: SigningKey,
  { nix, signal }: { readonly nix: NixTools; readonly signal: AbortSignal },
): Promise<number> {
  if (paths.length === 0) return 0;
  const infos = await nix.infos(await nix.closure(paths, signal), signal);
  const unsigned = toSign(infos, new Set(paths), key.name);
  if (unsigned.length === 0 || (await nix.sign(key.file, unsigned, signal))) return unsigned.length;
  throw new TetherError("farm-unsigned", "the nix-daemon does not let you sign paths in its store", {
    remedy:
      "Have it sign what it builds (secret-key-files in root's nix.conf), or give the static cache the key.",
  });
}

/** To one after the other; what fails at one does not keep it from the next. Rejects only with the signal's reason. */
export async function pushToAll(
  targets: readonly PushTarget[],
  paths: readonly string[],
  options: {
    readonly signal: AbortSignal;
    readonly clock: () => number;
    readonly onStep: (text: string) => void;
    readonly onDoing: (text: string) => void;
  },
): Promise<PushResult[]> {
  const { signal, clock, onStep, onDoing } = options;
  const results: PushResult[] = [];
  for (const target of targets) {
    signal.throwIfAborted();
    onStep(`pushing to ${target.name}`);
    const begun = clock();
    const result = (more: Partial<PushResult> & Pick<PushResult, "state">): PushResult => ({
      ...notPushed(target, more.state, null),
      ms: Math.round(clock() - begun),
      ...more,
    });
    try {
      const { queued, ...counts } = await target.push(paths, { signal, onDoing, onNotice: onStep });
      results.push(result({ state: queued ? "queued" : "pushed", ...counts }));
    } catch (error) {
      signal.throwIfAborted();
      results.push(result({ state: "failed", error: messageOf(error) }));
    }
  }
  return results;
}

/** A target that nothing was sent to. */
export function notPushed(
  { name }: PushTarget,
  state: "pushed" | "queued" | "failed" | "skipped",
  error: string | null,
): PushResult {
  return { target: name, state, paths: 0, alreadyThere: 0, bytes: 0, unsigned: 0, ms: 0, error };
}

export type GitRule = "never" | "on-success" | "always";

/** Why the commit is not to be pushed, or null when it is. Pure. */
export function keepsFromGit(
  rule: GitRule,
  { builds, pushes, error }: Pick<FarmReport, "builds" | "pushes" | "error">,
): string | null {
  if (rule === "never") return "git-push is never";
  if (rule === "always") return null;
  const failed = builds.filter(({ ok }) => !ok).length;
  if (failed > 0) return `${failed} of ${builds.length} builds failed`;
  if (error !== null) return "the results could not be signed";
  const missing = pushes.filter(({ state }) => state === "failed" || state === "skipped");
  if (missing.length > 0) return `not everything is in ${missing.map(({ target }) => target).join(", ")}`;
  return null;
}

/**
 * Pushes the checkout's branch, never by force. Where others have pushed meanwhile the commit is put on top of theirs, once.
 * Rejects only with `signal`'s reason, or where there is no git.
 */
export async function pushGit(branch: string, git: Git, signal: AbortSignal): Promise<GitResult> {
  try {
    return await pushOrRebase(branch, git);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TetherError && error.code === "git-missing") throw error;
    return { state: "failed", reason: messageOf(error), rebased: false, commit: null };
  }
}

async function pushOrRebase(branch: string, git: Git): Promise<GitResult> {
  const remote = `refs/remotes/origin/${branch}`;
  const push = (): ReturnType<Git> => git("push", "--quiet", "origin", `HEAD:refs/heads/${branch}`);
  const failed = (reason: string, rebased: boolean): GitResult => ({
    state: "failed",
    reason,
    rebased,
    commit: null,
  });
  const pushed = async (reason: string, rebased: boolean): Promise<GitResult> => {
    const commit = (await git("rev-parse", "HEAD")).stdout.trim();
    // The next run is to know that it was pushed, also where somebody takes it away again.
    await git("update-ref", remote, commit);
    return { state: "pushed", reason, rebased, commit };
  };
  const first = await push();
  if (first.code === 0) return pushed(`to ${branch}`, false);
  if (!/\[rejected\]/.test(first.stderr)) return failed(gitWords(first), false);
  const fetched = await git("fetch", "--quiet", "--no-tags", "origin", `+refs/heads/${branch}:${remote}`);
  if (fetched.code !== 0) return failed(gitWords(fetched), false);
  // Until it is through, the branch stays at our commit: the next run finds that where this one is interrupted.
  const rebased = await git("rebase", "--quiet", remote);
  if (rebased.code !== 0) {
    await git("rebase", "--abort");
    return failed(`flake.lock was changed on ${branch} meanwhile, too`, false);
  }
  const second = await push();
  if (second.code !== 0) return failed(gitWords(second), true);
  return pushed(`to ${branch}, on top of what came meanwhile`, true);
}
