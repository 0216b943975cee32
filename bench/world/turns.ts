// Our daemon under watch: how long its event loop stood still, under a quota of CPU time if wanted.

import { access, mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../../test/support/eventually.js";
import type { Scope } from "../scope.js";
import type { Seen } from "./turn-watch.js";

const program = new URL("./turn-watch.js", import.meta.url);

export interface Watch {
  /** For the environment of the daemon. */
  readonly env: NodeJS.ProcessEnv;
  /** What was seen since the last call. */
  read(pid: number): Promise<Seen>;
}

/** Writes into `dir`. `group` is a control group for the daemon; without `turns` nothing is done between the reports. */
export function makeWatch(
  dir: string,
  name: string,
  options: { group: string | null; turns: boolean },
): Watch {
  const report = join(dir, `turns-${name}`);
  let reports = 0;
  const lines = async (): Promise<string[]> =>
    (await readFile(report, "utf8").catch(() => "")).split("\n").slice(0, -1);
  return {
    env: {
      NODE_OPTIONS: `--import=${program.href}`,
      BENCH_REPORT: report,
      ...(options.turns ? { BENCH_TURNS: "1" } : {}),
      ...(options.group === null ? {} : { BENCH_GROUP: options.group }),
    },
    read: async (pid) => {
      process.kill(pid, "SIGUSR2");
      reports += 1;
      await eventually("the daemon reports its turns", async () => (await lines()).length >= reports, 30_000);
      return JSON.parse((await lines())[reports - 1] ?? "") as Seen;
    },
  };
}

/** A control group whose processes have this share of one core, in periods of 100 ms; null where that can not be had. */
export async function makeQuota(scope: Scope, share: number): Promise<string | null> {
  const periodUs = 100_000;
  const quotaUs = share * periodUs;
  const exists = (file: string): Promise<boolean> =>
    access(file).then(
      () => true,
      () => false,
    );
  const name = `nix-tether-bench-${process.pid}`;
  const newer = await exists("/sys/fs/cgroup/cgroup.controllers");
  const group = newer ? `/sys/fs/cgroup/${name}` : `/sys/fs/cgroup/cpu/${name}`;
  try {
    if (newer) await writeFile("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
    await mkdir(group);
    await scope.add({ dispose: () => rmdir(group) });
    if (newer) await writeFile(join(group, "cpu.max"), `${quotaUs} ${periodUs}`);
    else {
      await writeFile(join(group, "cpu.cfs_period_us"), String(periodUs));
      await writeFile(join(group, "cpu.cfs_quota_us"), String(quotaUs));
    }
    return group;
  } catch {
    return null;
  }
}
