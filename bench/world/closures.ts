// The closures that are fetched: how many paths of which size with which references. All are drawn from a seed.

import { createCipheriv, createHash } from "node:crypto";
import { exportEnd, encodeExported, inventPath } from "../../test/support/nix-export.js";
import { encodeNar, type NarNode } from "../../test/support/nar.js";
import { Random } from "../../test/support/random.js";

/** One store path to be made. */
export interface Planned {
  readonly name: string;
  readonly bytes: number;
  /** Places in the list, all behind its own. The first of the list reaches all. */
  readonly references: readonly number[];
}

/** Paths of 4 KiB with three references each, as a tree: what is in the way is the number of paths. */
export function smallClosure(name: string, count: number): Planned[] {
  return Array.from({ length: count }, (_, at) => ({
    name: `${name}-${at}`,
    bytes: 4096,
    references: [1, 2, 3].map((child) => 3 * at + child).filter((child) => child < count),
  }));
}

/** Large files that do not refer to each other. */
export function largePaths(name: string, count: number, bytes: number): Planned[] {
  return Array.from({ length: count }, (_, at) => ({ name: `${name}-${at}`, bytes, references: [] }));
}

/**
 * As a real system's: sizes are log-normal with a median of 24 KiB and sigma 2.3 (so a mean of 340 KiB), at most 100 MiB;
 * each path has one to eight references, and the longest chain is of about `count / 15`.
 */
export function mixedClosure(name: string, count: number): Planned[] {
  const random = new Random(name);
  const references = Array.from({ length: count }, () => new Set<number>());
  for (let at = 1; at < count; at += 1) references[random.between(Math.max(0, at - 30), at - 1)]?.add(at);
  return references.map((own, at) => {
    for (let more = random.between(0, 5); more > 0; more -= 1) {
      const other = at + random.between(1, 100);
      if (other < count) own.add(other);
    }
    const bytes = Math.round(24 * 1024 * Math.exp(2.3 * normal(random)));
    return { name: `${name}-${at}`, bytes: Math.min(bytes, 100 * 2 ** 20), references: [...own] };
  });
}

/** Normally distributed, by Box and Muller. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

/** Their store paths, in the same order. */
export function pathsOf(closure: readonly Planned[]): string[] {
  return closure.map(({ name }) => inventPath(name, "bench"));
}

/** For `nix-store --import`, piece by piece. */
export function* exportOf(closure: readonly Planned[]): Generator<Buffer> {
  const paths = pathsOf(closure);
  // What is referred to has to be there before.
  for (const [at, planned] of [...closure.entries()].toReversed()) {
    const path = paths[at] ?? "";
    const references = planned.references.map((other) => paths[other] ?? "").toSorted();
    yield encodeExported({ path, nar: encodeNar(contentOf(planned)), references, deriver: null });
  }
  yield exportEnd;
}

const fileBytes = 64 * 1024;

/** One file, or where it is larger than 64 KiB and not huge, a folder of such. */
function contentOf({ name, bytes }: Planned): NarNode {
  const contents = randomBytes(name, bytes);
  if (bytes <= fileBytes || bytes > 16 * 2 ** 20) return { kind: "regular", contents };
  const entries = Array.from({ length: Math.ceil(bytes / fileBytes) }, (_, part) => {
    const piece = contents.subarray(part * fileBytes, (part + 1) * fileBytes);
    return [`part-${String(part).padStart(4, "0")}`, { kind: "regular", contents: piece }] as const;
  });
  return { kind: "directory", entries };
}

/** Bytes that do not compress, always the same ones for a name. */
function randomBytes(name: string, bytes: number): Buffer {
  const key = createHash("sha256").update(name).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}
