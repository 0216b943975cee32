// Stands before a nix-daemon's socket, passes everything on, and keeps an account of what is uploaded to it: of which
// paths NARs come in, and whether they come in whole. It reads along, and changes nothing.

import { once } from "node:events";
import { rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { ProtocolError } from "../../src/protocol/errors.js";
import { WireReader } from "../../src/protocol/reader.js";
import { atLeast, negotiate } from "../../src/protocol/version.js";

/** One NAR on its way in. */
export interface Arrival {
  readonly path: string;
  /** Of the NAR, in bytes. */
  readonly size: number;
  received: number;
}

export const isWhole = ({ received, size }: Arrival): boolean => received === size;

export interface NarTap {
  /** To be used in place of the nix-daemon's. */
  readonly socket: string;
  /** In the order in which they began. */
  readonly arrivals: readonly Arrival[];
  /** That are open now; none: the nix-daemon has put down whatever it was given. */
  readonly connections: number;
  /** What it did not understand: then its account is not complete. */
  readonly problems: readonly string[];
  close(): Promise<void>;
}

const longest = 1024;
const list = { count: 100_000, length: longest };

/** Listens at `socket`. */
export async function startNarTap(daemonSocket: string, socket: string): Promise<NarTap> {
  const arrivals: Arrival[] = [];
  const problems: string[] = [];
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path: daemonSocket, allowHalfOpen: true });
    open.add(far);
    far.on("close", () => {
      open.delete(far);
      near.destroy();
    });
    for (const end of [near, far]) end.on("error", () => undefined);
    near.on("close", () => far.destroy());
    const [asked, answered] = [new PassThrough(), new PassThrough()];
    near.on("data", (chunk: Buffer) => asked.write(chunk)).on("close", () => asked.end());
    far.on("data", (chunk: Buffer) => answered.write(chunk)).on("close", () => answered.end());
    near.pipe(far);
    far.pipe(near);
    readAlong(new WireReader(asked), new WireReader(answered), arrivals).catch((error: unknown) => {
      const isEnd = error instanceof ProtocolError && ["closed", "truncated"].includes(error.code);
      if (!isEnd) problems.push(String(error));
      asked.resume();
    });
  });
  await rm(socket, { force: true });
  server.listen(socket);
  await once(server, "listening");
  return {
    socket,
    arrivals,
    problems,
    get connections() {
      return open.size;
    },
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const far of open) far.destroy();
      await closed;
    },
  };
}

/** Until the connection ends; what a client says while it uploads is understood, anything else is a problem. */
async function readAlong(asked: WireReader, answered: WireReader, arrivals: Arrival[]): Promise<void> {
  await asked.u64();
  const client = await asked.u64();
  await answered.u64();
  const version = negotiate(client, await answered.u64());
  if (atLeast(version, 38)) await asked.stringList(list);
  if ((await asked.u64()) !== 0) await asked.u64();
  await asked.u64();
  for (;;) {
    const operation = await asked.u64();
    switch (operation) {
      case 1:
      case 11:
      case 26:
        await asked.string(longest);
        break;
      case 19:
        for (let n = 0; n < 12; n += 1) await asked.u64();
        for (let left = await asked.u64(); left > 0; left -= 1) {
          await asked.string(longest);
          await asked.string(1024 * 1024);
        }
        break;
      case 31:
        await asked.stringList(list);
        await asked.u64();
        break;
      case 40:
        await asked.stringList(list);
        break;
      case 44:
        await asked.u64();
        await asked.u64();
        await readFrames(asked, arrivals);
        break;
      default:
        throw new Error(`operation ${operation}`);
    }
  }
}

/** AddMultipleToStore: a stream in frames, of paths with their NARs. */
async function readFrames(asked: WireReader, arrivals: Arrival[]): Promise<void> {
  const content = new PassThrough();
  const read = readPaths(new WireReader(content), arrivals);
  read.catch(() => undefined);
  try {
    for (let left = await asked.u64(); left > 0; left = await asked.u64()) {
      while (left > 0) {
        const chunk = await asked.chunk();
        content.write(chunk.subarray(0, left));
        asked.unshift(chunk.subarray(left));
        left -= Math.min(left, chunk.length);
      }
    }
  } finally {
    content.end();
  }
  await read;
}

async function readPaths(content: WireReader, arrivals: Arrival[]): Promise<void> {
  for (let left = await content.u64(); left > 0; left -= 1) {
    const path = await content.string(longest);
    await content.string(longest);
    await content.string(longest);
    await content.stringList(list);
    await content.u64();
    const size = await content.u64();
    await content.u64();
    await content.stringList(list);
    await content.string(longest);
    const arrival: Arrival = { path, size, received: 0 };
    arrivals.push(arrival);
    while (arrival.received < size) {
      const chunk = await content.chunk();
      const part = Math.min(chunk.length, size - arrival.received);
      content.unshift(chunk.subarray(part));
      arrival.received += part;
    }
  }
}
