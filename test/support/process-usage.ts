// What a process holds: file descriptors, and the memory that a full garbage collection leaves of its JavaScript heap.

import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.js";

/** How many file descriptors the process has open. */
export async function countDescriptors(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

/** Resident memory, in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** Reads the heaps of a Node process that was started with `flags`. */
export class HeapMeter {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async create(): Promise<HeapMeter> {
    return new HeapMeter(await mkdtemp(join(tmpdir(), "nix-tether-heap-")));
  }

  get flags(): string[] {
    return ["--heapsnapshot-signal=SIGUSR2", `--diagnostic-dir=${this.#dir}`];
  }

  /** Bytes of objects that are still in use after a full garbage collection, buffers included, compiled code not. */
  async measure(pid: number): Promise<number> {
    process.kill(pid, "SIGUSR2");
    let total = 0;
    const isWritten = async (): Promise<boolean> => {
      const [file] = await readdir(this.#dir);
      if (file === undefined) return false;
      const sum = sumOfSizes(await readFile(join(this.#dir, file), "utf8"));
      if (sum === null) return false;
      total = sum;
      await rm(join(this.#dir, file));
      return true;
    };
    await eventually("the heap snapshot is written", isWritten, 30_000);
    return total;
  }

  async dispose(): Promise<void> {
    await rm(this.#dir, { recursive: true, force: true });
  }
}

interface Snapshot {
  readonly snapshot: {
    readonly meta: {
      readonly node_fields: readonly string[];
      /** For each field what its numbers stand for; for the first, a list of names. */
      readonly node_types: readonly (readonly string[])[];
    };
  };
  readonly nodes: readonly number[];
}

/** The sum of all objects' own sizes; null while the file is not complete. */
function sumOfSizes(text: string): number | null {
  if (!text.trimEnd().endsWith("}")) return null;
  let parsed: Snapshot;
  try {
    parsed = JSON.parse(text) as Snapshot;
  } catch {
    return null;
  }
  const { node_fields: fields, node_types: types } = parsed.snapshot.meta;
  const [kind, size] = [fields.indexOf("type"), fields.indexOf("self_size")];
  // Compiled code comes and goes with how often a function runs, and has its own bound.
  const compiled = new Set(["code", "hidden"].map((name) => types[kind]?.indexOf(name)));
  let sum = 0;
  for (let i = 0; i < parsed.nodes.length; i += fields.length) {
    if (!compiled.has(parsed.nodes[i + kind])) sum += parsed.nodes[i + size] ?? 0;
  }
  return sum;
}
