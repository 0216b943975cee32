// The post-build hook as an administrator installs it: run by root's nix-daemon, for a user who is not trusted.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Lab, type NixVersion } from "./lab.js";
import { installTimedHook, quantiles, takeHookTimes } from "./timed-hook.js";

const count = 20;
const expression = `{ salt }: builtins.genList (n: derivation {
  name = "hooked-\${salt}-\${toString n}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "echo $name >$out" ];
}) ${count}`;

// What the daemon will do, in a process of the user's.
const spoolScript = `
import { createGcRoots } from "/opt/nix-tether/dist/uploads/gc-roots.js";
import { openSpool } from "/opt/nix-tether/dist/uploads/spool.js";
const dir = process.env.HOME + "/.local/state/nix-tether/spool";
const log = { debug() {}, info() {}, warn: (...said) => console.error(...said) };
const roots = createGcRoots({ folder: dir + "/roots", env: process.env });
const warn = (code, problem) => problem && console.error(code, problem.message);
const spool = await openSpool({ dir, log, targets: ["pi"], roots, warn });
await spool.takeIn();
const [what, ...paths] = process.argv.slice(2);
if (what === "add") await spool.add(paths);
if (what === "arrived") await spool.arrived("pi", spool.list().map((entry) => entry.path));
console.log(JSON.stringify(spool.list()));
`;

describe.each<NixVersion>(["2.8", "2.34"])("the hook under a nix-daemon %s", (nix) => {
  let lab: Lab;
  const dev = (commands: string): Promise<{ stdout: string; stderr: string }> =>
    lab.user("laptop", "dev", commands);
  const spool = async (what = ""): Promise<{ path: string; deriver: string | null; targets: object }[]> => {
    const { stdout, stderr } = await dev(`/opt/node spool.mjs ${what}`);
    expect(stderr).toBe("");
    return JSON.parse(stdout) as Awaited<ReturnType<typeof spool>>;
  };
  const build = async (salt: string): Promise<string[]> => {
    const { stdout } = await dev(`nix-build --no-out-link many.nix --argstr salt ${salt}`);
    return stdout.trim().split("\n").toSorted();
  };
  /** What of these a garbage collection leaves. */
  const survivors = async (paths: readonly string[]): Promise<string[]> => {
    const list = `for path in ${paths.join(" ")}; do if [ -e $path ]; then echo $path; fi; done`;
    const { stdout } = await lab.exec("laptop", `nix-collect-garbage >/dev/null 2>&1; ${list}`);
    return stdout.split("\n").filter((path) => path !== "");
  };

  beforeAll(async () => {
    lab = await Lab.up({ nix });
    await dev(`cat >many.nix <<'NIX'\n${expression}\nNIX`);
    await dev(`cat >spool.mjs <<'SCRIPT'\n${spoolScript}\nSCRIPT`);
    await installTimedHook(lab);
  });

  afterAll(() => lab?.down());

  it("says that there is no spool yet, and lets the build be", async () => {
    const { stdout, stderr } = await dev(
      `nix-build --no-out-link -E 'builtins.head (import ./many.nix { salt = "early"; })'`,
    );
    expect(stdout).toMatch(/-hooked-early-0\n/);
    expect(stderr).toContain("not queued: there is no spool at /home/dev/.local/state/nix-tether/spool");
    expect(await spool()).toEqual([]);
  });

  it(`queues ${count} builds, of which the garbage collector takes none until they have arrived`, async () => {
    await takeHookTimes(lab);
    const built = await build("one");
    expect(built).toHaveLength(count);
    // No daemon has looked yet.
    expect(await survivors(built)).toEqual(built);
    const entries = await spool();
    expect(entries.map(({ path }) => path).toSorted()).toEqual(built);
    for (const { deriver } of entries) expect(deriver).toMatch(/-hooked-one-\d+\.drv$/);
    expect(await survivors(built)).toEqual(built);
    expect(await spool("arrived")).toEqual([]);
    expect(await survivors(built)).toEqual([]);
    const auto =
      "ls -A /nix/var/nix/gcroots/auto/nix-tether-1500; ls -A /home/dev/.local/state/nix-tether/spool/roots";
    expect((await lab.exec("laptop", auto)).stdout).toBe("");

    const times = await takeHookTimes(lab);
    expect(times).toHaveLength(count);
    const real = quantiles(times.map((time) => time.real));
    process.stderr.write(`hook under Nix ${nix}: ${real.join(", ")} ms\n`);
  });

  it("holds for the user what was built without it", async () => {
    await lab.exec(
      "laptop",
      "sed -i /post-build-hook/d /etc/nix/nix.conf; systemctl stop nix-daemon.service",
    );
    const [queued = "", ...others] = await build("two");
    expect(await spool(`add ${queued}`)).toHaveLength(1);
    expect(await survivors([queued, ...others])).toEqual([queued]);
    expect(await spool("arrived")).toEqual([]);
    expect(await survivors([queued])).toEqual([]);
  });
});
