// What a NAR's file holds: the hash and the length of the NAR, decompressed by Node or by the program for that.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";

/** `sha256` in hexadecimal digits, `bytes` the length. */
export interface Digest {
  readonly sha256: string;
  readonly bytes: number;
}

/** Takes the pieces of a file, one at a time, and says in the end what they were decompressed to. */
export interface Decompressor {
  /** Settles when more may come; never rejects. */
  write(piece: Buffer): Promise<void>;
  /**
   * Of what grew beyond `maxBytes`, only of its beginning, and longer than that. A sentence where it can not be decompressed:
   * it is not what it claims to be, or this machine is not up to it. Null where this machine has no program that does it.
   */
  end(): Promise<Digest | string | null>;
  /** Ends it at once. */
  stop(): void;
}

interface Pipes {
  readonly input: Writable;
  readonly output: Readable;
  /** Why it can not be decompressed, or `noProgram`, when all has ended; null where it was. */
  readonly verdict: Promise<string | null>;
  kill(): void;
}

const noProgram = "no program";

const programs: Readonly<Record<string, readonly [string, ...string[]]>> = {
  zstd: ["zstd", "-dcq", "--no-progress"],
  xz: ["xz", "-dc"],
  bzip2: ["bzip2", "-dc"],
  lzip: ["lzip", "-dc"],
};

/** Null where nobody here knows the compression. What grows beyond `maxBytes` is no more decompressed. */
export function createDecompressor(
  compression: string,
  maxBytes: number,
  env: NodeJS.ProcessEnv,
): Decompressor | null {
  const pipes = openPipes(compression, env);
  if (pipes === null) return null;
  const { input, output, verdict, kill } = pipes;
  const hash = createHash("sha256");
  let bytes = 0;
  const isOver = new Promise<void>((resolve) => {
    output.once("close", resolve);
    input.once("close", resolve);
  });
  output.on("data", (piece: Buffer) => {
    hash.update(piece);
    bytes += piece.length;
    if (bytes > maxBytes) kill();
  });
  return {
    write: async (piece) => {
      if (input.destroyed || !input.writable || input.write(piece)) return;
      await Promise.race([once(input, "drain").catch(() => undefined), isOver]);
    },
    end: async () => {
      if (!input.destroyed) input.end();
      const why = await verdict;
      if (why === null || bytes > maxBytes) return { sha256: hash.digest("hex"), bytes };
      return why === noProgram ? null : why;
    },
    stop: kill,
  };
}

function openPipes(compression: string, env: NodeJS.ProcessEnv): Pipes | null {
  if (compression === "none") return ofStream(new PassThrough());
  if (compression === "gzip") return ofStream(createGunzip());
  if (compression === "br") return ofStream(createBrotliDecompress());
  const program = Object.hasOwn(programs, compression) ? programs[compression] : undefined;
  return program === undefined ? null : ofProgram(program, env);
}

function ofStream(stream: PassThrough | ReturnType<typeof createGunzip>): Pipes {
  const verdict = new Promise<string | null>((resolve) => {
    stream.once("error", ({ message }) => resolve(`it can not be decompressed: ${message}`));
    stream.once("end", () => resolve(null));
    stream.once("close", () => resolve("it can not be decompressed"));
  });
  return { input: stream, output: stream, verdict, kill: () => stream.destroy() };
}

function ofProgram([file, ...args]: readonly [string, ...string[]], env: NodeJS.ProcessEnv): Pipes {
  const child = spawn(file, args, { env, stdio: ["pipe", "pipe", "ignore"] });
  child.stdin.on("error", () => undefined);
  child.stdout.on("error", () => undefined);
  const verdict = new Promise<string | null>((resolve) => {
    child.once("error", () => resolve(noProgram));
    child.once("close", (code) => {
      // Whoever ends it by a signal (for want of memory, say) speaks of this machine, not of the file.
      if (code === null) resolve(noProgram);
      else resolve(code === 0 ? null : `it can not be decompressed: ${file} ended with ${code}`);
    });
  });
  return { input: child.stdin, output: child.stdout, verdict, kill: () => void child.kill("SIGKILL") };
}
