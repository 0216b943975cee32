import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { prepareCheckout, type Checkout } from "../../src/farm/checkout.js";
import { createGit, type Git } from "../../src/farm/git.js";
import { pushGit } from "../../src/farm/publish.js";
import { TetherError } from "../../src/util/errors.js";

interface Yard {
  readonly dir: string;
  readonly checkout: string;
  /** git in the farm's checkout. */
  readonly git: Git;
  /** So many fetches succeed before the line is lost. */
  fetches: number;
  prepare(branch?: string): Promise<Checkout>;
  /** Resolves to stdout; fails where git does. In a folder of the yard. */
  in(folder: string, ...args: string[]): Promise<string>;
  /** Commits a file by this name; resolves to the commit. */
  commit(folder: string, file: string): Promise<string>;
}

const signal = new AbortController().signal;

/** A repository "repo.git" with a clone "work" that has one commit on main. */
async function yard(): Promise<Yard> {
  const dir = await mkdtemp(join(tmpdir(), "farm-checkout-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const env = { PATH: process.env["PATH"], HOME: dir };
  const gitIn = (cwd: string): Git => createGit({ env, cwd, signal, author: "Farm <farm@example.org>" });
  const checkout = join(dir, "farm/checkout");
  await mkdir(join(dir, "farm"));
  const run: Yard["in"] = async (folder, ...args) => {
    const { code, stdout, stderr } = await gitIn(join(dir, folder))(...args);
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  const here: Yard = {
    dir,
    checkout,
    git: gitIn(checkout),
    fetches: Infinity,
    prepare: (branch) =>
      prepareCheckout(
        {
          places: { checkout, brokenCheckout: `${checkout}.broken` },
          repository: join(dir, "repo.git"),
          branch: branch ?? null,
          now: Date.parse("2026-01-02T03:04:05Z"),
        },
        (cwd) =>
          async (...args) =>
            args[0] === "fetch" && here.fetches-- <= 0
              ? { code: 128, stdout: "", stderr: "the line is lost" }
              : gitIn(cwd)(...args),
      ),
    in: run,
    commit: async (folder, file) => {
      await writeFile(join(dir, folder, file), file);
      await run(folder, "add", file);
      await run(folder, "commit", "--quiet", "--message", file);
      return run(folder, "rev-parse", "HEAD");
    },
  };
  await run(".", "init", "--quiet", "--bare", "--initial-branch", "main", "repo.git");
  await run(".", "clone", "--quiet", "repo.git", "work");
  await run("work", "checkout", "--quiet", "-B", "main");
  await here.commit("work", "first");
  await run("work", "push", "--quiet", "origin", "main");
  return here;
}

const unpushed = "refs/nix-tether/unpushed";
const farm = "farm/checkout";

test("a line that is lost within the fetch changes nothing", async () => {
  const here = await yard();
  await here.prepare();
  const ours = await here.commit(farm, "ours");
  here.fetches = 0;
  await expect(here.prepare()).rejects.toMatchObject({
    code: "farm-repository",
    message: expect.stringContaining("the line is lost") as string,
  });
  expect(await here.in(farm, "rev-parse", "HEAD")).toBe(ours);
  expect(await readdir(join(here.dir, "farm"))).toEqual(["checkout"]);
});

test("a broken one is replaced when the new one is whole, and what it has kept goes along", async () => {
  const here = await yard();
  await here.prepare();
  const first = await here.commit(farm, "one");
  await here.in(farm, "update-ref", `${unpushed}/before`, first);
  await here.in(farm, "reset", "--quiet", "--hard", "HEAD^");
  const second = await here.commit(farm, "two");
  await writeFile(join(here.checkout, ".git/index"), "nonsense");

  here.fetches = 1;
  await expect(here.prepare()).rejects.toMatchObject({ code: "farm-repository" });
  expect(await here.in(farm, "rev-parse", "HEAD")).toBe(second);
  expect(await readdir(join(here.dir, "farm"))).toEqual(["checkout"]);

  here.fetches = Infinity;
  const { kept, commit } = await here.prepare();
  expect(kept).toMatchObject({ commit: second });
  expect(await here.in(farm, "rev-parse", "HEAD", kept?.ref ?? "", `${unpushed}/before`)).toBe(
    [commit, second, first].join("\n"),
  );
  expect(await here.in(farm, "for-each-ref", "refs/nix-tether/broken")).toBe("");
  expect(await readFile(`${here.checkout}.broken/two`, "utf8")).toBe("two");
});

test("a rebase that was interrupted loses no commit, and leaves nothing in the way of the next", async () => {
  const here = await yard();
  await here.prepare();
  const ours = await here.commit(farm, "ours");
  await here.commit("work", "theirs");
  await here.in("work", "push", "--quiet", "origin", "main");
  await here.in(farm, "fetch", "--quiet", "origin", "+refs/heads/main:refs/remotes/origin/main");
  await here.in(farm, "-c", "sequence.editor=sed -i 1ibreak", "rebase", "--quiet", "-i", "origin/main");
  const theirs = await here.in("work", "rev-parse", "HEAD");
  expect(await here.in(farm, "rev-parse", "HEAD")).toBe(theirs);

  const { kept, commit } = await here.prepare();
  expect({ kept: kept?.commit, commit }).toEqual({ kept: ours, commit: theirs });
  expect(await here.in(farm, "status")).not.toContain("rebase");
  await here.commit(farm, "again");
  expect(await pushGit("main", here.git, signal)).toMatchObject({ state: "pushed", rebased: false });
});

test("what was pushed is not kept as unpushed where the remote goes back or another branch is wanted", async () => {
  const here = await yard();
  await here.prepare();
  await here.commit(farm, "ours");
  expect(await pushGit("main", here.git, signal)).toMatchObject({ state: "pushed" });
  await here.commit("work", "instead");
  await here.in("work", "push", "--quiet", "--force", "origin", "main", "main~1:refs/heads/release");
  expect(await here.prepare()).toMatchObject({ branch: "main", kept: null });
  expect(await here.prepare("release")).toMatchObject({ branch: "release", kept: null });
});

test("the lock of a ref that a killed git has left does not last", async () => {
  const here = await yard();
  await here.prepare();
  const theirs = await here.commit("work", "theirs");
  await here.in("work", "push", "--quiet", "origin", "main");
  await writeFile(join(here.checkout, ".git/refs/remotes/origin/main.lock"), "");
  expect(await here.prepare()).toMatchObject({ commit: theirs });
  expect(await readdir(join(here.dir, "farm"))).toEqual(["checkout"]);
});

test("a push on top of theirs names the commit that was pushed", async () => {
  const here = await yard();
  await here.prepare();
  const ours = await here.commit(farm, "ours");
  await here.commit("work", "theirs");
  await here.in("work", "push", "--quiet", "origin", "main");
  const { commit, ...result } = await pushGit("main", here.git, signal);
  expect(result).toMatchObject({ state: "pushed", rebased: true });
  expect(commit).toBe(await here.in("repo.git", "rev-parse", "main"));
  expect(commit).not.toBe(ours);
});

test("a push that takes too long has failed; one that is called off, or has no git, rejects", async () => {
  const rejecting = (problem: Error): Git => {
    return async () => {
      throw problem;
    };
  };
  const late = rejecting(new TetherError("timeout", "git: not done"));
  expect(await pushGit("main", late, signal)).toMatchObject({ state: "failed", reason: "git: not done" });
  const stopped = AbortSignal.abort(new Error("stopped"));
  await expect(pushGit("main", late, stopped)).rejects.toThrow("stopped");
  const missing = rejecting(new TetherError("git-missing", "no git"));
  await expect(pushGit("main", missing, signal)).rejects.toThrow("no git");
});
