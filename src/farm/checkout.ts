// Brings a farm's own checkout to what the remote branch is at, whatever the run before has left there.

import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { TetherError, messageOf } from "../util/errors.js";
import { gitWords, type Git } from "./git.js";
import { withoutPasswords } from "./passwords.js";
import type { FarmPlaces } from "./places.js";

export interface CheckoutRequest {
  readonly places: Pick<FarmPlaces, "checkout" | "brokenCheckout">;
  readonly repository: string;
  /** Null for the one that the repository calls its own. */
  readonly branch: string | null;
  /** Names what is kept of an earlier run, in milliseconds since the epoch. */
  readonly now: number;
}

export interface Checkout {
  readonly branch: string;
  /** What the remote branch is at, and now the checkout. */
  readonly commit: string;
  /** A commit of an earlier run that was never pushed, and the ref that keeps it. */
  readonly kept: { readonly commit: string; readonly ref: string } | null;
}

/** What an unpushed commit is kept under, in the checkout. */
const keptRefs = "refs/nix-tether/unpushed";
const keptMost = 10;

/** What a git that was killed may leave, and every later one would stumble over. The lock of the run makes them ours. */
const leftovers = ["index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"];

/** @throws TetherError `farm-repository`; the signal's reason. `gitIn` runs git in a folder. */
export async function prepareCheckout(
  request: CheckoutRequest,
  gitIn: (cwd: string) => Git,
): Promise<Checkout> {
  const { checkout, brokenCheckout } = request.places;
  // Asked first, and from outside: what goes wrong here is not the checkout's fault.
  const branch = await remoteBranch(request, gitIn(path.dirname(checkout)));
  try {
    return await bringUp(request, branch, gitIn(checkout));
  } catch (error) {
    if (!(error instanceof TetherError) || error.code !== "farm-repository") throw error;
    await rm(brokenCheckout, { recursive: true, force: true });
    await rename(checkout, brokenCheckout);
    return bringUp(request, branch, gitIn(checkout));
  }
}

async function remoteBranch({ repository, branch }: CheckoutRequest, git: Git): Promise<string> {
  const wanted = branch === null ? "HEAD" : `refs/heads/${branch}`;
  const result = await git("ls-remote", "--symref", "--", repository, wanted);
  if (result.code !== 0) throw failed(repository, "it does not answer", gitWords(result));
  const found = branch ?? /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(result.stdout)?.[1];
  if (found === undefined || !result.stdout.includes(`\t${wanted}`)) {
    const what = branch === null ? "it does not say which branch is its own" : `it has no branch ${branch}`;
    throw failed(repository, what, "see farms.NAME.branch in the configuration");
  }
  return found;
}

async function bringUp(request: CheckoutRequest, branch: string, git: Git): Promise<Checkout> {
  const { places, repository, now } = request;
  const { checkout } = places;
  const must = async (what: string, ...args: string[]): Promise<string> => {
    const result = await git(...args);
    if (result.code !== 0) throw failed(repository, what, gitWords(result));
    return result.stdout.trim();
  };
  const remote = `refs/remotes/origin/${branch}`;
  await mkdir(checkout, { recursive: true, mode: 0o700 });
  for (const name of leftovers)
    await rm(path.join(checkout, ".git", name), { force: true }).catch(() => undefined);
  await must("the checkout can not be made", "init", "--quiet", ".");
  await must("the checkout can not be made", "config", "remote.origin.url", repository);
  await must(
    "it can not be fetched",
    "fetch",
    "--quiet",
    "--no-tags",
    "origin",
    `+refs/heads/${branch}:${remote}`,
  );
  const kept = await keepUnpushed(remote, now, git);
  await must("it can not be checked out", "checkout", "--quiet", "--force", "-B", branch, remote);
  await must("it can not be checked out", "reset", "--quiet", "--hard", remote);
  await must("the checkout can not be cleaned", "clean", "--quiet", "-ffdx");
  return { branch, commit: await must("it can not be checked out", "rev-parse", "HEAD"), kept };
}

/** The update is made anew from what the remote has, so that what was not pushed neither blocks it nor piles up. */
async function keepUnpushed(remote: string, now: number, git: Git): Promise<Checkout["kept"]> {
  const head = await git("rev-parse", "--verify", "--quiet", "HEAD^{commit}");
  if (head.code !== 0) return null;
  const commit = head.stdout.trim();
  if ((await git("merge-base", "--is-ancestor", commit, remote)).code === 0) return null;
  const ref = `${keptRefs}/${new Date(now).toISOString().replace(/[:.]/g, "-")}`;
  const made = await git("update-ref", ref, commit);
  if (made.code !== 0) throw failed("the farm's checkout", "a commit can not be kept", gitWords(made));
  const { stdout } = await git("for-each-ref", "--sort=-refname", "--format=%(refname)", keptRefs);
  for (const old of stdout.split("\n").filter(Boolean).slice(keptMost)) await git("update-ref", "-d", old);
  return { commit, ref };
}

function failed(repository: string, what: string, why: string): TetherError {
  return new TetherError("farm-repository", `${withoutPasswords(repository)}: ${what}: ${messageOf(why)}`, {
    remedy:
      "Nothing was changed; what was built before is kept. The same must work by hand: git ls-remote URL",
  });
}
