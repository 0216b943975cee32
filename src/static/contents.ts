// Reads the NARs of a static cache, and compares what they hold with what the narinfos say.

import { createHash } from "node:crypto";
import { SftpError } from "../link/sftp-channel.js";
import { messageOf } from "../util/errors.js";
import { inParallel } from "../util/in-parallel.js";
import type { CacheFolder } from "./cache-folder.js";
import { createDecompressor, type Digest } from "./decompress.js";
import type { CachedPath, CacheFile, Inventory } from "./inventory.js";
import type { Problem } from "./problems.js";
import type { Progress } from "./progress.js";

export interface ContentsOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

export interface CheckedContents {
  readonly problems: readonly Problem[];
  /** Of how many NARs only the file's hash could be compared, by their compression. */
  readonly closed: ReadonlyMap<string, number>;
}

/** Each may keep a processor busy, and a disk of a small machine. */
const narsAtOnce = 3;

/** Rejects with what the folder rejects with, where the way there is cut, or with the signal's reason. */
export async function checkContents(
  folder: CacheFolder,
  { paths, nars }: Inventory,
  options: ContentsOptions,
): Promise<CheckedContents> {
  const { onProgress, signal } = options;
  const holders = new Map<string, CachedPath[]>();
  for (const path of paths.values())
    if (path.narinfo !== null)
      for (const nar of path.nars) holders.set(nar, [...(holders.get(nar) ?? []), path]);
  const files = [...holders].flatMap(([name, all]) => {
    const file = nars.get(name);
    return file === undefined ? [] : [{ file, holders: all }];
  });
  const all = files.reduce((bytes, { file }) => bytes + file.size, 0);
  const problems: Problem[] = [];
  const closed = new Map<string, number>();
  let done = 0;
  await inParallel(files, narsAtOnce, async ({ file, holders: ofFile }) => {
    signal.throwIfAborted();
    const onBytes = (bytes: number): void => onProgress({ doing: "checking", done: (done += bytes), all });
    try {
      const read = await digests(folder, file, ofFile, { ...options, onBytes });
      if (read.nar === null) closed.set(read.compression, (closed.get(read.compression) ?? 0) + 1);
      for (const path of ofFile) problems.push(...compare(path, file.name, read));
    } catch (error) {
      signal.throwIfAborted();
      const isGone = (await folder.stat(file.name, signal)) === null;
      if (!isGone && !isDiskFault(error)) throw error;
      for (const { hashPart, file: narinfo } of ofFile) {
        // Somebody collects meanwhile.
        if (isGone && (await folder.stat(narinfo.name, signal)) === null) continue;
        problems.push(
          isGone
            ? { kind: "missing-nar", hashPart, file: file.name, text: "its NAR is missing" }
            : { kind: "unreadable-nar", hashPart, file: file.name, text: messageOf(error) },
        );
      }
    }
  });
  return { problems, closed };
}

interface Read {
  readonly file: Digest;
  /** A sentence where it can not be decompressed; null where that can not be told here. */
  readonly nar: Digest | string | null;
  readonly compression: string;
}

async function digests(
  folder: CacheFolder,
  file: CacheFile,
  holders: readonly CachedPath[],
  options: ContentsOptions & { readonly onBytes: (bytes: number) => void },
): Promise<Read> {
  const { env, signal, onBytes } = options;
  const compression = holders[0]?.narinfo?.compression ?? "none";
  const most = Math.max(...holders.map(({ narinfo }) => narinfo?.info.narSize ?? 0));
  const decompressor = createDecompressor(compression, most, env);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const piece of folder.openRead(file.name, signal) as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
      onBytes(piece.length);
      await decompressor?.write(piece);
    }
    return {
      file: { sha256: hash.digest("hex"), bytes },
      nar: (await decompressor?.end()) ?? null,
      compression,
    };
  } finally {
    decompressor?.stop();
  }
}

/** Anything else says nothing of the file itself. SFTP has no word of its own for it. */
function isDiskFault(error: unknown): boolean {
  const { cause } = error as Error;
  if (cause instanceof SftpError) return cause.status === "failure";
  return (cause as NodeJS.ErrnoException | undefined)?.code === "EIO";
}

function compare({ hashPart, narinfo }: CachedPath, file: string, read: Read): Problem[] {
  if (narinfo === null) return [];
  const { info, fileHash } = narinfo;
  if (fileHash !== null && fileHash !== read.file.sha256)
    return [{ kind: "wrong-file-hash", hashPart, file, text: "its content has another hash than is told" }];
  if (read.nar === null) return [];
  // A file that is what it was made as is not condemned by a program that fails, perhaps for want of memory.
  if (typeof read.nar === "string")
    return [{ kind: fileHash === null ? "wrong-nar" : "undecompressed-nar", hashPart, file, text: read.nar }];
  if (read.nar.sha256 === info.narHash && read.nar.bytes === info.narSize) return [];
  const text = "the NAR in it has another hash or length than is told";
  return [{ kind: "wrong-nar", hashPart, file, text }];
}
