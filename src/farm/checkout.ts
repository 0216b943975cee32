// Brings a farm's own checkout to what the remote branch is at, whatever the run before has left there.

import { mkdir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { TetherError, messageOf } from "../util/errors.js";
import { gitWords, type Git } from "./git.js";
import { withoutPasswords } from "./passwords.js";
import type { FarmPlaces } from "./places.js";
import { keepUnpushed, keptRefs, type KeptCommit } from "./unpushed.js";

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
  readonly kept: KeptCommit | null;
}

/** What a git that was killed may leave, and every later one would stumble over. The lock of the run makes them ours. */
const leftovers = [
  "index.lock",
  "HEAD.lock",
  "config.lock",
  "packed-refs.lock",
  "shallow.lock",
  "rebase-merge",
  "rebase-apply",
];

/** What went wrong is this checkout's own fault: a new one may do. */
class BrokenCheckout extends TetherError {}

/** @throws TetherError `farm-repository`; the signal's reason. `gitIn` runs git in a folder. */
export async function prepareCheckout(
  request: CheckoutRequest,
  gitIn: (cwd: string) => Git,
): Promise<Checkout> {
  const { checkout } = request.places;
  // Asked first, and from outside: what goes wrong here is not the checkout's fault.
  const branch = await remoteBranch(request, gitIn(path.dirname(checkout)));
  try {
    return await bringUp(request, checkout, branch, gitIn(checkout));
  } catch (error) {
    if (!(error instanceof BrokenCheckout)) throw error;
    return renew(request, branch, gitIn);
  }
}

/** Makes a new one beside it, with what can be had from the old one. Until that is whole, the old one stays in its place. */
async function renew(
  request: CheckoutRequest,
  branch: string,
  gitIn: (cwd: string) => Git,
): Promise<Checkout> {
  const { checkout, brokenCheckout } = request.places;
  const beside = `${checkout}.new`;
  await rm(beside, { recursive: true, force: true });
  try {
    const git = gitIn(beside);
    const made = await bringUp(request, beside, branch, git);
    const take = (refs: string): ReturnType<Git> => git("fetch", "--quiet", "--no-tags", checkout, refs);
    await take(`+${keptRefs}/*:${keptRefs}/*`);
    const old = "refs/nix-tether/broken";
    await take(`+refs/heads/${branch}:${old}/branch`);
    await take(`+HEAD:${old}/head`);
    const revisions = [`${old}/branch`, `${old}/head`];
    const kept = await keepUnpushed({ revisions, pushed: [made.commit], now: request.now }, git);
    for (const ref of revisions) await git("update-ref", "-d", ref);
    await rm(brokenCheckout, { recursive: true, force: true });
    await rename(checkout, brokenCheckout);
    await rename(beside, checkout);
    return { ...made, kept };
  } finally {
    await rm(beside, { recursive: true, force: true });
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

async function bringUp(
  { repository, now }: CheckoutRequest,
  folder: string,
  branch: string,
  git: Git,
): Promise<Checkout> {
  const must = async (what: string, ...args: string[]): Promise<string> => {
    const result = await git(...args);
    if (result.code !== 0) throw broken(repository, what, gitWords(result));
    return result.stdout.trim();
  };
  const remote = `refs/remotes/origin/${branch}`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeLeftovers(path.join(folder, ".git"));
  await must("the checkout can not be made", "init", "--quiet", ".");
  await must("the checkout can not be made", "config", "remote.origin.url", repository);
  const before = await git("for-each-ref", "--format=%(objectname)", "refs/remotes/origin");
  const spec = `+refs/heads/${branch}:${remote}`;
  const fetched = await git("fetch", "--quiet", "--no-tags", "origin", spec);
  if (fetched.code !== 0) {
    // A line that is lost, or a full disk, is no reason to fetch it all once more.
    const sound = (await git("fsck", "--connectivity-only", "--no-dangling")).code === 0;
    throw (sound ? failed : broken)(repository, "it can not be fetched", gitWords(fetched));
  }
  // A rebase that was interrupted leaves HEAD at the remote's commit, and the branch at ours.
  const revisions = [`refs/heads/${branch}`, "HEAD"];
  const pushed = [remote, ...before.stdout.split("\n").filter(Boolean)];
  const kept = await keepUnpushed({ revisions, pushed, now }, git);
  await must("it can not be checked out", "checkout", "--quiet", "--force", "-B", branch, remote);
  await must("it can not be checked out", "reset", "--quiet", "--hard", remote);
  await must("the checkout can not be cleaned", "clean", "--quiet", "-ffdx");
  return { branch, commit: await must("it can not be checked out", "rev-parse", "HEAD"), kept };
}

async function removeLeftovers(gitFolder: string): Promise<void> {
  const refs = path.join(gitFolder, "refs");
  const found = await readdir(refs, { recursive: true }).catch(() => []);
  // The name of a ref can not end so.
  const locks = found.filter((name) => name.endsWith(".lock")).map((name) => path.join(refs, name));
  for (const name of [...leftovers.map((one) => path.join(gitFolder, one)), ...locks])
    await rm(name, { recursive: true, force: true }).catch(() => undefined);
}

function broken(...about: Parameters<typeof failed>): BrokenCheckout {
  const { code, message, remedy } = failed(...about);
  return new BrokenCheckout(code, message, remedy === undefined ? {} : { remedy });
}

function failed(repository: string, what: string, why: string): TetherError {
  return new TetherError("farm-repository", `${withoutPasswords(repository)}: ${what}: ${messageOf(why)}`, {
    remedy:
      "Nothing was changed; what was built before is kept. The same must work by hand: git ls-remote URL",
  });
}
