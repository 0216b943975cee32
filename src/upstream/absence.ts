// Says of a path that it is not there, without a question, while it is certain. Where many paths are asked for in vain, the
// machine is asked once for the list of all that it has, and from then on only, a few times a second, whether its database
// was written since. What is on the list is asked for as ever, and so is everything once the database was written.

import type { Logger } from "pino";
import type { RemoteFiles } from "../link/link.js";
import { SftpError } from "../link/sftp-channel.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { DaemonClient } from "./daemon-client.js";
import { isQuiet, isUnchanged, listingPays, type DatabaseState } from "./database-state.js";
import { checkPlace, listPaths, readState, speedOf } from "./far-database.js";
import type { PathIndex } from "./path-index.js";

/** Times in milliseconds. */
export interface AbsenceTimes {
  /** Questions in vain belong together that follow each other within this time. */
  readonly burstMs: number;
  /** From one look at the database to the next, while questions come. */
  readonly lookMs: number;
  /** What was so when a look began is taken to be so for this long. */
  readonly trustMs: number;
  /** Without a question the machine need not serve its files any longer. */
  readonly idleMs: number;
  /** From what could not be had to the next try, and from one list to the next. */
  readonly restMs: number;
  /** From one sample of the link's speed to the next; others were perhaps under way with it. */
  readonly slowMs: number;
  /** A look, or a list, is given up after this time. */
  readonly lookLimitMs: number;
  readonly listLimitMs: number;
}

export const defaultAbsenceTimes: AbsenceTimes = {
  burstMs: 1_000,
  lookMs: 200,
  trustMs: 500,
  idleMs: 20_000,
  restMs: 2_000,
  slowMs: 10_000,
  lookLimitMs: 2_000,
  listLimitMs: 15_000,
};

/** So many questions in vain are a burst: more than a build's of which the machine has most. */
const burstSize = 50;

/** A list that took long is not asked for again before this many times as long. */
const restPart = 20;

export interface AbsenceDeps {
  /** Where the machine has its database. */
  readonly database: string;
  readonly openFiles: () => Promise<RemoteFiles>;
  /** Whether the way there costs by volume; null where nobody knows. Where it does no list is asked for. */
  readonly isMetered: () => Promise<boolean | null>;
  /** A connection to the nix-daemon, for one question. */
  readonly openDaemon: (signal: AbortSignal) => Promise<DaemonClient>;
  readonly times: AbsenceTimes;
  readonly log: Logger;
}

/** What is known not to be there. */
export interface Absence {
  /** See `Upstream.isAbsent`. To be asked before each question. */
  isAbsent(hashPart: string): boolean;
  /** A question was answered "not here". */
  missed(): void;
  /** These are there, as the machine said just now. */
  found(hashParts: readonly string[]): void;
  /** When the last byte of a list arrived, on `performance.now()`'s clock. */
  readonly lastByteAt: number;
  close(): void;
}

/** The list as it was when the database was in that state. */
interface Known {
  readonly paths: PathIndex;
  readonly state: DatabaseState;
  /** It lacks a path that is there: the next look tells whether that was added since. */
  isWrong: boolean;
}

export function createAbsence(deps: AbsenceDeps): Absence {
  const { times, log } = deps;
  const now = (): number => performance.now();
  const closing = new AbortController();
  let known: Known | null = null;
  let knownUntil = -Infinity;
  let files: RemoteFiles | null = null;
  let looking = false;
  let lookedAt = -Infinity;
  let restUntil = -Infinity;
  /** How long the last list took, or was waited for. */
  let listMs = 0;
  let lastByteAt = -Infinity;
  let askedAt = -Infinity;
  let missedAt = -Infinity;
  let misses = 0;
  let idle: NodeJS.Timeout | undefined;

  const leave = (restMs: number): void => {
    clearTimeout(idle);
    files?.close();
    files = null;
    restUntil = Math.max(restUntil, now() + restMs);
  };
  const rest = (): void => leave(Math.max(times.restMs, restPart * listMs));
  const leaveWhenIdle = (): void => {
    const left = askedAt + times.idleMs - now();
    if (left <= 0) leave(0);
    else idle = setTimeout(leaveWhenIdle, left).unref();
  };

  /** Looks whether the list is still true. */
  const look = async (opened: RemoteFiles): Promise<DatabaseState> => {
    lookedAt = now();
    const wasWrong = known?.isWrong === true;
    const state = await readState(opened, deps.database, times.lookLimitMs);
    if (known === null || !isUnchanged(known.state, state)) known = null;
    else if (wasWrong) throw new TetherError("unfit", "the nix-daemon has another database");
    else knownUntil = lookedAt + times.trustMs;
    return state;
  };
  const begin = async (): Promise<void> => {
    const opened = await deps.openFiles();
    files = opened;
    if (closing.signal.aborted) return leave(Infinity);
    leaveWhenIdle();
    const state = await look(opened);
    if (known !== null) return;
    // What a look tells would be too old before the next one has ended.
    if (2 * (now() - lookedAt) > times.trustMs) return leave(times.slowMs);
    if (!isQuiet(state)) return leave(times.restMs);
    if ((await deps.isMetered()) === true) throw new TetherError("unfit", "the connection is metered");
    await checkPlace(opened, deps.database, times.lookLimitMs);
    const speed = await speedOf(opened, deps.database, times.lookLimitMs);
    if (!listingPays(state, speed)) return leave(times.slowMs);
    known = { paths: await list(state), state, isWrong: false };
    await goOn(opened);
    log.debug({ listMs: Math.round(listMs), holds: known !== null }, "all paths listed");
  };
  const list = async (state: DatabaseState): Promise<PathIndex> => {
    const began = now();
    const arrived = (): void => {
      lastByteAt = now();
    };
    try {
      const client = await deps.openDaemon(closing.signal);
      try {
        return await listPaths(client, state, times.listLimitMs, arrived);
      } finally {
        client.destroy();
      }
    } finally {
      listMs = now() - began;
    }
  };
  const goOn = async (opened: RemoteFiles): Promise<void> => {
    await look(opened);
    if (known === null) rest();
  };
  const start = (work: () => Promise<void>): void => {
    looking = true;
    work()
      .catch((error: unknown) => {
        known = null;
        if (!closing.signal.aborted) log.debug({ reason: messageOf(error) }, "no list of all paths");
        if (isForGood(error)) leave(Infinity);
        else rest();
      })
      .finally(() => {
        looking = false;
      });
  };

  return {
    isAbsent: (hashPart) => {
      askedAt = now();
      const opened = files;
      if (opened !== null && !looking && askedAt - lookedAt >= times.lookMs) start(() => goOn(opened));
      return known !== null && !known.isWrong && askedAt <= knownUntil && !known.paths.mayHave(hashPart);
    },
    missed: () => {
      const at = now();
      misses = at - missedAt <= times.burstMs ? misses + 1 : 1;
      missedAt = at;
      if (misses < burstSize || files !== null || looking || at < restUntil) return;
      misses = 0;
      start(begin);
    },
    found: (hashParts) => {
      if (known === null) return;
      const { paths } = known;
      if (!hashParts.every((one) => paths.mayHave(one))) known.isWrong = true;
    },
    get lastByteAt() {
      return lastByteAt;
    },
    close: () => {
      closing.abort(new TetherError("closed", "the cache was closed"));
      leave(Infinity);
    },
  };
}

/** What another try would not change. */
function isForGood(error: unknown): boolean {
  if (error instanceof SftpError) return true;
  return error instanceof TetherError && (error.code === "sftp-unavailable" || error.code === "unfit");
}
