// Keeps, in a farm's checkout, the commits of earlier runs that were never pushed: each run begins at what the remote has.

import { TetherError } from "../util/errors.js";
import { gitWords, type Git } from "./git.js";

/** A commit, and the ref that keeps it. */
export interface KeptCommit {
  readonly commit: string;
  readonly ref: string;
}

/** What the commits are kept under. */
export const keptRefs = "refs/nix-tether/unpushed";
const keptMost = 10;

export interface Unpushed {
  /** Where a commit may be: the first that is kept is the one that is told of. */
  readonly revisions: readonly string[];
  /** Commits that the remote has, or had when it was asked before; what they contain was pushed by somebody. */
  readonly pushed: readonly string[];
  /** Names the refs, in milliseconds since the epoch. */
  readonly now: number;
}

/** Resolves to null where all was pushed. @throws TetherError `farm-repository`; the signal's reason */
export async function keepUnpushed(
  { revisions, pushed, now }: Unpushed,
  git: Git,
): Promise<KeptCommit | null> {
  const kept: KeptCommit[] = [];
  const name = `${keptRefs}/${new Date(now).toISOString().replace(/[:.]/g, "-")}`;
  for (const revision of revisions) {
    const found = await git("rev-parse", "--verify", "--quiet", `${revision}^{commit}`);
    if (found.code !== 0) continue;
    const commit = found.stdout.trim();
    const others = [...pushed, ...kept.map((one) => one.commit)];
    const more = await git("rev-list", "--max-count=1", commit, "--not", ...others);
    if (more.code === 0 && more.stdout.trim() === "") continue;
    const ref = kept.length === 0 ? name : `${name}-${kept.length + 1}`;
    const made = await git("update-ref", ref, commit);
    if (made.code !== 0) {
      throw new TetherError("farm-repository", `an unpushed commit can not be kept: ${gitWords(made)}`, {
        remedy: "Nothing was changed; see whether the disk with the farm's checkout is full.",
      });
    }
    kept.push({ commit, ref });
  }
  const { stdout } = await git("for-each-ref", "--sort=-refname", "--format=%(refname)", keptRefs);
  for (const old of stdout.split("\n").filter(Boolean).slice(keptMost)) await git("update-ref", "-d", old);
  return kept[0] ?? null;
}
