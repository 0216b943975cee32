// The hook, the spool and its roots with real Nix, old and new: what waits is never taken by the garbage collector, and
// what has arrived is let go.

import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGcRoots, type GcRoots } from "../../src/uploads/gc-roots.js";
import { openSpool, type Spool } from "../../src/uploads/spool.js";
import { hookScript } from "../support/hook.js";
import { makePrivateNix, nixSuites, type NixVersion, type PrivateNix } from "../support/private-nix.js";
import { silentLog } from "../support/silent-log.js";
import { storePath } from "../support/store-paths.js";

// In the file rather than on the command line: its dollars are Nix's.
const expression = `{ names }: builtins.listToAttrs (map (name: { inherit name; value = derivation {
  inherit name;
  system = builtins.currentSystem;
  outputs = [ "out" "dev" ];
  builder = "/bin/sh";
  args = [ "-c" "echo $name >$out; echo $name-dev >$dev" ];
}; }) names)
`;

describe.each(Object.keys(nixSuites) as NixVersion[])("with Nix %s", (version) => {
  let nix: PrivateNix;
  let dir = "";
  let roots: GcRoots;

  beforeEach(async () => {
    nix = await makePrivateNix(version, (scratch) => `post-build-hook = ${scratch}/hook`);
    dir = join(nix.dir, "spool");
    roots = createGcRoots({ folder: join(dir, "roots"), env: nix.env, graceMs: 0 });
    const hook = `#!/bin/sh\nNIX_TETHER_HOOK_CONF=${nix.dir}/hook.conf exec ${hookScript}\n`;
    await writeFile(join(nix.dir, "hook"), hook, { mode: 0o755 });
    await writeFile(join(nix.dir, "hook.conf"), `user = root ${dir}\n`);
    await writeFile(join(nix.dir, "many.nix"), expression);
  });

  afterEach(() => nix?.dispose());

  const open = (): Promise<Spool> =>
    openSpool({
      dir,
      log: silentLog,
      targets: ["pi"],
      roots,
      warn: (_, problem) => expect(problem).toBeNull(),
    });
  /** Resolves to the outputs, sorted. */
  const build = async (...names: string[]): Promise<string[]> => {
    const list = `[ ${names.map((name) => `"${name}"`).join(" ")} ]`;
    const attributes = names.flatMap((name) => ["-A", name, "-A", `${name}.dev`]).join(" ");
    const { stdout } = await nix.run(
      `nix-build ${nix.dir}/many.nix --no-out-link --arg names '${list}' ${attributes}`,
    );
    return stdout.trim().split("\n").toSorted();
  };
  const inStore = async (): Promise<string[]> => {
    await nix.run("nix-store --gc");
    const { stdout } = await nix.run("shopt -s nullglob; for path in /nix/store/*-*; do echo $path; done");
    return stdout
      .split("\n")
      .filter((path) => path !== "" && !path.endsWith(".drv"))
      .toSorted();
  };
  const autoRoots = async (): Promise<string[]> => {
    const auto = nix.outside("/nix/var/nix/gcroots/auto");
    const inFolders = await readdir(join(auto, "nix-tether-0")).catch(() => []);
    return [...(await readdir(auto)).filter((name) => name !== "nix-tether-0"), ...inFolders];
  };

  test("what was built is queued by the hook, and held until it has arrived", async () => {
    const spool = await open();
    const outputs = await build("one", "two");
    expect(outputs).toHaveLength(4);
    // Before any daemon has looked.
    expect(await inStore()).toEqual(outputs);
    const entries = await spool.takeIn();
    expect(entries.map(({ path }) => path).toSorted()).toEqual(outputs);
    for (const { path, deriver } of entries) {
      expect(deriver).toMatch(/^\/nix\/store\/.*-(one|two)\.drv$/);
      const { stdout } = await nix.run(`nix-store -q --outputs ${deriver}`);
      expect(stdout).toContain(path);
    }
    expect(await nix.calls()).toEqual([]);
    expect(await inStore()).toEqual(outputs);
    await spool.arrived("pi", outputs.slice(0, 3));
    expect(await inStore()).toEqual(outputs.slice(3));
    await spool.arrived("pi", outputs);
    expect(await inStore()).toEqual([]);
    expect(await autoRoots()).toEqual([]);
    expect(await readdir(join(dir, "roots"))).toEqual([]);
  });

  test("what is queued by hand is held as well, many at once", async () => {
    await writeFile(join(nix.dir, "hook.conf"), "");
    const spool = await open();
    const outputs = await build("one", "two");
    const unprotected = await build("three");
    await spool.add(outputs);
    expect(await nix.calls()).toHaveLength(1);
    expect(await inStore()).toEqual(outputs);
    expect(unprotected).toHaveLength(2);
    // A restart finds them held, and asks no more.
    const again = await open();
    await again.takeIn();
    expect(await nix.calls()).toHaveLength(1);
    await again.drop([outputs[0] ?? ""]);
    expect(await inStore()).toEqual(outputs.slice(1));
    await again.drop("all");
    expect(await inStore()).toEqual([]);
    expect(await autoRoots()).toEqual([]);
  });

  test("roots that were lost are made anew, and those that nobody needs let go", async () => {
    const spool = await open();
    const outputs = await build("one");
    await spool.takeIn();
    await rm(join(dir, "roots"), { recursive: true });
    await rm(nix.outside("/nix/var/nix/gcroots/auto/nix-tether-0"), { recursive: true });
    const [left = ""] = await build("two");
    await mkdir(join(dir, "roots"), { recursive: true });
    await roots.hold([left]);
    // A link that Nix was never told of protects nothing.
    await symlink(outputs[0] ?? "", join(dir, "roots", (outputs[0] ?? "").slice("/nix/store/".length)));
    const again = await open();
    const watch = again.watch(() => undefined);
    await expect.poll(() => again.list().length).toBeGreaterThan(0);
    await expect.poll(async () => (await readdir(join(dir, "roots"))).length, { timeout: 10_000 }).toBe(3);
    await watch.close();
    expect(await inStore()).toEqual(outputs);
  });

  test("a path that is gone is set aside, and the others are held", async () => {
    await writeFile(join(nix.dir, "hook.conf"), "");
    const spool = await open();
    const [kept = "", deleted = ""] = await build("one");
    await nix.run(`nix-store --delete --ignore-liveness ${deleted}`);
    const entries = await spool.add([deleted, storePath("never-was"), kept]);
    expect(entries.map(({ targets }) => targets["pi"]?.code ?? null)).toEqual([
      "path-gone",
      "path-gone",
      null,
    ]);
    expect(await inStore()).toEqual([kept]);
    const [, again = ""] = await build("one");
    expect(again).toBe(deleted);
    expect(await spool.retry([deleted])).toBe(1);
    expect(spool.counts()).toEqual({ waiting: 2, setAside: 1 });
    expect(await inStore()).toEqual([kept, deleted].toSorted());
  });

  test("Nix that is missing or fails is an error with a remedy", async () => {
    const folder = join(nix.dir, "links");
    await mkdir(folder);
    const path = storePath("x");
    const missing = createGcRoots({ folder, env: { ...nix.env, PATH: folder } });
    await expect(missing.hold([path])).rejects.toMatchObject({ code: "nix-missing" });
    await writeFile(join(folder, "nix-store"), "#!/bin/sh\necho no such option >&2; exit 1\n", {
      mode: 0o755,
    });
    await expect(missing.hold([path])).rejects.toMatchObject({
      code: "root-failed",
      message: expect.stringContaining("no such option") as string,
    });
    await writeFile(join(folder, "nix-store"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    await expect(missing.hold([path])).rejects.toMatchObject({ code: "root-failed" });
  });
});
