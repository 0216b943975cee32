// What a process has used, as the kernel counts it.

import { readFile } from "node:fs/promises";

/** CPU time so far, in seconds; the kernel counts in hundredths. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
