// What a process has used, as the kernel counts it.

import { readFile, readdir } from "node:fs/promises";

/** CPU time so far, in seconds; the kernel counts in hundredths. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What a process has cost so far, and what it holds. */
export interface Cost {
  /** Of its threads that still run. */
  readonly cpuMs: number;
  /** How often a thread of it waited for something. */
  readonly wakeUps: number;
  readonly residentMB: number;
}

export async function costOf(pid: number): Promise<Cost> {
  const tasks = await readdir(`/proc/${pid}/task`);
  const read = (name: string): Promise<string[]> =>
    Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/${name}`, "utf8")));
  const [times, states] = await Promise.all([read("schedstat"), read("status")]);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  return {
    cpuMs: sum(times.map((text) => Number(text.split(" ")[0]))) / 1e6,
    wakeUps: sum(states.map((text) => field(text, "voluntary_ctxt_switches"))),
    residentMB: (field(states[0] ?? "", "VmRSS") * 1024) / 1e6,
  };
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(status)?.[1] ?? NaN);
}
