// NARs, each over a connection of its own for as long as it lasts; connections are few, bounded and used again.

import { finished, type Readable } from "node:stream";
import type { Logger } from "pino";
import type { RemoteProgram } from "../link/link.js";
import { addTempRoot } from "../protocol/operations.js";
import type { PathInfo } from "../protocol/path-info.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { DaemonClient } from "./daemon-client.js";
import { createDumpTail } from "./dump-tail.js";
import type { UpstreamLimits } from "./limits.js";
import { createSpareConnections } from "./spare-connections.js";
import { createTurns, type Turns } from "./turns.js";
import type { NarBytes, NarTail } from "./upstream.js";

/** The ways to the machine, and how many. */
export interface NarPoolDeps {
  readonly open: (signal?: AbortSignal) => Promise<DaemonClient>;
  /** Runs a command on the machine; null where there is no way to. */
  readonly exec: ((command: string) => Promise<RemoteProgram>) | null;
  readonly limits: UpstreamLimits;
  readonly log: Logger;
}

/** Gives NARs and ends of NARs. */
export interface NarPool {
  /** See `Upstream.openNar`. The signal counts until the stream is given; then the stream is to be destroyed. */
  openNar(info: PathInfo, signal: AbortSignal): Promise<NarBytes>;
  /** See `Upstream.openNarFrom`. */
  openNarFrom(info: PathInfo, from: number, signal: AbortSignal): Promise<NarTail>;
  /** Whether NARs are read that nothing holds but the temporary roots of the lookups. */
  readonly needsRoots: boolean;
  /** When the last byte of a NAR arrived, on `performance.now()`'s clock. */
  readonly lastByteAt: number;
  close(): void;
}

export function createNarPool(deps: NarPoolDeps): NarPool {
  const { limits, log } = deps;
  const spares = createSpareConnections(() => deps.open(), limits.idleMs);
  const inUse = new Set<DaemonClient>();
  const tails = new Set<Readable>();
  let bytes = 0;
  let lastByteAt = -Infinity;
  let closed = false;
  const arrived = (count: number): void => {
    bytes += count;
    lastByteAt = performance.now();
  };
  const turns: Turns = createTurns({
    places: limits.narConnections,
    waitMs: limits.turnMs,
    progress: () => bytes,
  });

  const dump =
    deps.exec === null
      ? null
      : createDumpTail({
          exec: deps.exec,
          markerMs: limits.stallMs,
          onBytes: arrived,
          log,
        });

  /** `free` is called when the stream that was given has ended or was destroyed. */
  const start = async (
    client: DaemonClient,
    info: PathInfo,
    signal: AbortSignal,
    free: () => void,
  ): Promise<NarBytes> => {
    const onAbort = (): void => client.destroy(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    inUse.add(client);
    let given = false;
    let ended = false;
    const onEnd = (): void => {
      ended = true;
      inUse.delete(client);
      spares.give(client);
      if (given) free();
    };
    const onBytes = (count: number): void => {
      clearTimeout(timer);
      arrived(count);
    };
    const onLate = (): void =>
      client.destroy(new TetherError("stalled", `${info.path}: the nix-daemon gives no answer`));
    const timer = setTimeout(onLate, limits.stallMs);
    try {
      // Holds the path while its NAR is read. Where that fails, the NAR shows it.
      client.ask(addTempRoot(info.path)).catch(() => undefined);
      const { stallMs, wholeNarBytes } = limits;
      const stream = await client.narFromPath(info, { stallMs, wholeNarBytes, onBytes }, onEnd);
      given = true;
      if (ended) free();
      return stream;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  };

  const run = async (info: PathInfo, signal: AbortSignal, free: () => void): Promise<NarBytes> => {
    const { client, fresh } = await spares.take(signal);
    try {
      return await start(client, info, signal, free);
    } catch (error) {
      if (fresh || client.failure !== error || !isLoss(error) || signal.aborted || closed) throw error;
      log.debug({ reason: messageOf(error) }, "an unused connection had died; opening another");
    }
    return start(await deps.open(signal), info, signal, free);
  };

  const openTail = async (
    info: PathInfo,
    from: number,
    signal: AbortSignal,
    free: () => void,
  ): Promise<NarTail | null> => {
    const stream = (await dump?.open(info, from, signal)) ?? null;
    if (stream === null) return null;
    tails.add(stream);
    // Also where it has failed already.
    finished(stream, () => {
      tails.delete(stream);
      free();
    });
    if (closed) stream.destroy(closedError());
    return { stream, begins: from };
  };

  /** `work` is to call `free` when it has succeeded and its stream is over. */
  const inTurn = async <T>(signal: AbortSignal, work: (free: () => void) => Promise<T>): Promise<T> => {
    if (closed) throw closedError();
    const free = await turns.take(signal);
    try {
      signal.throwIfAborted();
      return await work(free);
    } catch (error) {
      free();
      throw error;
    }
  };

  return {
    get lastByteAt() {
      return lastByteAt;
    },
    get needsRoots() {
      return tails.size > 0;
    },
    openNar: (info, signal) => inTurn(signal, (free) => run(info, signal, free)),
    openNarFrom: (info, from, signal) =>
      inTurn(signal, async (free) => {
        const tail = from < limits.tailBytes ? null : await openTail(info, from, signal, free);
        return tail ?? { stream: await run(info, signal, free), begins: 0 };
      }),
    close: () => {
      closed = true;
      turns.close();
      spares.close();
      for (const client of inUse) client.destroy();
      for (const tail of tails) tail.destroy(closedError());
    },
  };
}

function closedError(): TetherError {
  return new TetherError("closed", "the cache was closed");
}

function isLoss(error: unknown): boolean {
  return error instanceof TetherError && (error.code === "closed" || error.code === "truncated");
}
