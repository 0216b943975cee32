// The watcher in front of a real store, old Nix and new: what is built without a hook is queued and held, what is fetched is
// not, and a flood or a restart loses nothing.

import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGcRoots } from "../../src/uploads/gc-roots.js";
import { createNixTools } from "../../src/nix/nix-tools.js";
import { openSpool, type Spool } from "../../src/uploads/spool.js";
import { watchStore } from "../../src/uploads/store-watch.js";
import { makePrivateNix, nixSuites, type NixVersion, type PrivateNix } from "../support/private-nix.js";
import { silentLog } from "../support/silent-log.js";

// As many outputs as one likes, for that is the quickest way to many paths.
const expression = `{ name, outputs ? [ "out" ] }: derivation {
  inherit name outputs;
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "for o in $outputs; do eval p=\\\\$$o; echo $name-$o >$p; done" ];
}
`;

describe.each(Object.keys(nixSuites) as NixVersion[])("with Nix %s", (version) => {
  let nix: PrivateNix;
  let dir = "";
  let spool: Spool;
  let problems: Error[] = [];
  let watch: { close(): Promise<void> } | null = null;

  const note = (problem: Error | null): void => void (problem !== null && problems.push(problem));
  const start = async (): Promise<void> => {
    const tools = createNixTools(nix.env);
    spool = await openSpool({
      dir,
      log: silentLog,
      targets: ["pi"],
      roots: createGcRoots({ folder: join(dir, "roots"), env: nix.env }),
      warn: (_, problem) => note(problem),
    });
    watch = watchStore({
      folder: nix.outside("/nix/store"),
      markFile: join(dir, "store-watch.json"),
      infos: (paths, signal) => tools.infos(paths, signal),
      onBuilt: async (additions) => void (await spool.offer(additions)),
      warn: (_, problem) => note(problem),
      log: silentLog,
      everyMs: 2_000,
    });
  };
  const stop = async (): Promise<void> => {
    await watch?.close();
    watch = null;
  };
  /** Resolves to the outputs, sorted. */
  const build = async (name: string, rest = "", options = ""): Promise<string[]> => {
    const { stdout } = await nix.run(
      `drv=$(nix-instantiate ${nix.dir}/build.nix --argstr name ${name} ${rest}); drv=\${drv%!*}
      nix-store --realise $drv ${options} >/dev/null; nix-store -q --outputs $drv`,
    );
    return stdout.trim().split("\n").toSorted();
  };
  const queued = (): string[] =>
    spool
      .list()
      .map(({ path }) => path)
      .toSorted();
  const untilQueued = (paths: readonly string[]): Promise<void> =>
    expect.poll(queued, { timeout: 20_000, interval: 100 }).toEqual(paths.toSorted());

  /** What a garbage collection leaves, once all that is queued is held. */
  const survivors = async (): Promise<string[]> => {
    await stop();
    await nix.run("nix-store --gc");
    const names = await readdir(nix.outside("/nix/store"));
    return names
      .filter((name) => /^[a-z0-9]{32}-/.test(name) && !name.endsWith(".drv"))
      .map((name) => `/nix/store/${name}`)
      .toSorted();
  };

  beforeEach(async () => {
    nix = await makePrivateNix(version, () => "require-sigs = false");
    dir = join(nix.dir, "spool");
    await writeFile(join(nix.dir, "build.nix"), expression);
    problems = [];
    await nix.run("nix-store --init");
    await start();
    await expect.poll(() => existsSync(join(dir, "store-watch.json")), { timeout: 10_000 }).toBe(true);
  });

  afterEach(async () => {
    await stop();
    await nix?.dispose();
    expect(problems).toEqual([]);
  });

  test("a build is queued with its deriver and held; what was fetched or added is not", async () => {
    const cache = `file://${nix.dir}/cache`;
    await stop();
    const [fetched = ""] = await build("fetched");
    await nix.run(
      `nix --extra-experimental-features nix-command copy --to ${cache} ${fetched}; nix-store --delete --ignore-liveness ${fetched}
      echo source >${nix.dir}/source; nix-store --add ${nix.dir}/source >/dev/null`,
    );
    await start();
    expect(await build("fetched", "", `--option substituters ${cache}`)).toEqual([fetched]);
    const outputs = await build("both", `--arg outputs '["out" "dev"]'`);
    await untilQueued(outputs);
    for (const { deriver } of spool.list()) expect(deriver).toMatch(/-both\.drv$/);
    expect(await survivors()).toEqual(outputs);
    await spool.drop("all");
    expect(await survivors()).toEqual([]);
  });

  test("what is gone before it can be held is forgotten", async () => {
    await stop();
    const [gone = ""] = await build("gone");
    await nix.run(`nix-store --delete ${gone}`);
    await start();
    const [kept = ""] = await build("kept");
    await untilQueued([kept]);
    // The same where it goes between the question and the root.
    expect(await spool.offer([{ path: gone, deriver: null, since: 0 }])).toEqual([]);
    expect(queued()).toEqual([kept]);
  });

  test("a flood of 500 loses none, and neither does a restart in its middle", async () => {
    const outputs = (salt: string): string =>
      `--arg outputs 'builtins.genList (n: "${salt}\${toString n}") 100'`;
    const paths: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      if (n === 2) await stop();
      paths.push(...(await build(`flood-${n}`, outputs("o"))));
      if (n === 3) await start();
    }
    await untilQueued(paths);
    expect(paths).toHaveLength(500);
    expect(await survivors()).toEqual(paths.toSorted());
  });
});
