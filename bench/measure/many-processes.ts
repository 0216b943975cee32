// (s) The same paths fetched by one Nix process, or by many at once: each its share of them, or each all of them.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NixVersion } from "../../test/support/private-nix.js";
import { inTurn, type Bench } from "../bench.js";
import { pathsOf, smallClosure, type Planned } from "../world/closures.js";
import { costOf } from "../world/cpu.js";
import { makeLaptop, startTether } from "../world/laptop.js";
import { makePi, type Pi } from "../world/pi.js";

const warmUp = smallClosure("warm-up", 50);

interface Task {
  readonly processes: number;
  readonly what: string;
  /** For each process the paths that it is told to fetch. */
  readonly shares: readonly (readonly string[])[];
}

export async function manyProcesses(bench: Bench, nix: NixVersion): Promise<void> {
  const quick = bench.options.scale < 1;
  const counts = quick ? [1, 16] : [1, 4, 16, 64];
  const total = quick ? 64 : 512;
  const pi = await makePi(bench.scope, nix);
  // Without references: what one process fetches must not bring what is another's.
  const closure: Planned[] = smallClosure("share", total).map((planned) => ({ ...planned, references: [] }));
  await pi.fill(warmUp);
  await pi.fill(closure);
  const paths = pathsOf(closure);
  const tasks: Task[] = counts.flatMap((processes) => [
    {
      processes,
      what: `${total} small paths, each process its share`,
      shares: Array.from({ length: processes }, (_, n) => paths.filter((_path, at) => at % processes === n)),
    },
    {
      processes,
      what: `${total / 4} small paths, the same for all`,
      shares: Array.from({ length: processes }, () => paths.slice(0, total / 4)),
    },
  ]);
  await inTurn(
    bench,
    tasks,
    (task) => fetchTogether(bench, nix, pi, task),
    Math.min(3, bench.options.rounds),
  );
}

function fetchTogether(bench: Bench, nix: NixVersion, pi: Pi, task: Task): Promise<void> {
  return bench.scope.within(async (scope) => {
    const laptop = await makeLaptop(scope, nix, pi, await pi.sshConfig(pi.sshd.port));
    const tether = await startTether(scope, laptop, pi, pi.sshd.port, { profiles: bench.options.profile });
    const file = (name: string): string => join(laptop.nix.dir, `share-${name}`);
    const realise = async (name: string, paths: readonly string[]): Promise<string> => {
      await writeFile(file(name), paths.join(" "));
      return `nix-store -r $(<${file(name)}) --option substituters '${tether.url}' >/dev/null 2>&1`;
    };
    await laptop.run(await realise("warm-up", pathsOf(warmUp).slice(0, 1)));
    const commands = await Promise.all(task.shares.map((paths, at) => realise(String(at), paths)));
    const before = await costOf(tether.daemon.pid);
    // Each must end with 0.
    const jobs = commands.map((command) => `${command} & jobs="$jobs $!"`).join("\n");
    const seconds = await laptop.time(`jobs=\n${jobs}\nfor job in $jobs; do wait $job; done`);
    const after = await costOf(tether.daemon.pid);
    const variant = `${task.processes} process${task.processes === 1 ? "" : "es"}`;
    const setting = { measure: "s", nix, delayMs: 0 };
    bench.recorder.add({ ...setting, what: task.what }, variant, "s", seconds);
    const asked = task.shares.flat().length;
    const cpu = { ...setting, what: `${task.what}: CPU for each path asked for` };
    bench.recorder.add(cpu, variant, "ms", (after.cpuMs - before.cpuMs) / asked);
    bench.recorder.add({ ...setting, what: `${task.what}, RSS` }, variant, "MB", after.residentMB);
    bench.say(`s ${task.what}, ${variant}: ${seconds.toFixed(2)} s`);
  });
}
