// A nix-daemon as far as a test needs one: it shakes hands and then does what the test says with each request.

import { once } from "node:events";
import { type Duplex } from "node:stream";
import { serverHandshake } from "../../src/protocol/handshake.js";
import { encodePathInfo, opcode } from "../../src/protocol/operations.js";
import type { PathInfo } from "../../src/protocol/path-info.js";
import { WireReader } from "../../src/protocol/reader.js";
import { stderrFrame } from "../../src/protocol/stderr.js";
import { encodeString, encodeU64 } from "../../src/protocol/writer.js";
import { duplexPair } from "./wire.js";

const piece = 64 * 1024;

/** A request: its operation and the string that goes with it. */
export interface FakeRequest {
  readonly operation: number;
  readonly argument: string;
}

/** The daemon's side of one connection. */
export interface FakeConnection {
  readonly stream: Duplex;
  readonly requests: FakeRequest[];
}

export interface FakeDaemon {
  openDaemon(): Promise<Duplex>;
  readonly connections: FakeConnection[];
}

/** What the daemon does with a request: the bytes to answer, or null for never. */
export type Answerer = (request: FakeRequest, connection: FakeConnection) => Buffer | null;

export const last = encodeU64(stderrFrame.last);

/** Answers lookups from these paths, and NARs from `nar`. */
export function answererFor(paths: readonly PathInfo[], nar: (path: string) => Buffer): Answerer {
  return ({ operation, argument }) => {
    switch (operation) {
      case opcode.queryPathFromHashPart: {
        const found = paths.find(({ path }) => path.slice(11, 43) === argument);
        return Buffer.concat([last, encodeString(found?.path ?? "")]);
      }
      case opcode.queryPathInfo:
        return Buffer.concat([last, encodePathInfo(paths.find(({ path }) => path === argument) ?? null)]);
      case opcode.addTempRoot:
        return Buffer.concat([last, encodeU64(1)]);
      case opcode.narFromPath:
        return Buffer.concat([last, nar(argument)]);
      default:
        throw new Error(`unexpected operation ${operation}`);
    }
  };
}

/** A daemon whose every operation takes one string, or nothing. */
export function fakeDaemon(answer: Answerer, protocol = 0x122): FakeDaemon {
  const connections: FakeConnection[] = [];
  const serve = async (stream: Duplex): Promise<void> => {
    const connection: FakeConnection = { stream, requests: [] };
    connections.push(connection);
    const reader = new WireReader(stream);
    await serverHandshake(reader, (bytes) => stream.write(bytes), { nixVersion: "2.8.0", protocol });
    for (;;) {
      const operation = await reader.u64();
      const argument = operation === opcode.queryAllValidPaths ? "" : await reader.string(1024);
      const request = { operation, argument };
      connection.requests.push(request);
      const reply = answer(request, connection);
      // In pieces, as a real daemon writes.
      for (let rest = reply ?? Buffer.alloc(0); rest.length > 0; rest = rest.subarray(piece)) {
        if (!stream.write(rest.subarray(0, piece))) await drained(stream);
      }
    }
  };
  return {
    connections,
    openDaemon: () => {
      const [near, far] = duplexPair();
      serve(far).catch(() => far.destroy());
      return Promise.resolve(near);
    },
  };
}

async function drained(stream: Duplex): Promise<void> {
  const done = new AbortController();
  const { signal } = done;
  const gone = ["close", "end"].map(async (event) => {
    await once(stream, event, { signal });
    throw new Error(`the connection has had its ${event}`);
  });
  try {
    await Promise.race([once(stream, "drain", { signal }), ...gone]);
  } finally {
    done.abort();
    await Promise.allSettled(gone);
  }
}
