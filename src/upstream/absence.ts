// Says of a path that it is not there, without a question, while it is certain. Where many paths are asked for in vain, the
// machine is asked once for the list of all that it has, and from then on only, a few times a second, whether its database
// was written since. What is on the list is asked for as ever, and so is everything once the database was written.

import type { Logger } from "pino";
import type { RemoteFiles } from "../link/link.js";
import { SftpError } from "../link/sftp-channel.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { DaemonClient } from "./daemon-client.js";
import { isQuiet, isUnchanged, listingPays, type DatabaseState } from "./database-state.js";
import { listPaths, readState, speedOf } from "./far-database.js";
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
  close(): void;
}

/** The list as it was when the database was in that state. */
interface Known {
  readonly paths: PathIndex;
  readonly state: DatabaseState;
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
  let listMs = 0;
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
  const leaveWhenIdle = (): void => {
    const left = askedAt + times.idleMs - now();
    if (left <= 0) leave(0);
    else idle = setTimeout(leaveWhenIdle, left).unref();
  };

  /** Looks whether the list is still true. */
  const look = async (opened: RemoteFiles): Promise<DatabaseState> => {
    lookedAt = now();
    const state = await readState(opened, deps.database, times.lookLimitMs);
    if (known !== null && isUnchanged(known.state, state)) knownUntil = lookedAt + times.trustMs;
    else known = null;
    return state;
  };
  const begin = async (): Promise<void> => {
    const opened = await deps.openFiles();
    files = opened;
    if (closing.signal.aborted) return leave(Infinity);
    leaveWhenIdle();
    const state = await look(opened);
    if (known !== null) return;
    if (!isQuiet(state)) return leave(times.restMs);
    if ((await deps.isMetered()) === true) throw new TetherError("unfit", "the connection is metered");
    const speed = await speedOf(opened, deps.database, times.lookLimitMs);
    if (!listingPays(state, speed)) return leave(times.slowMs);
    const began = now();
    const paths = await list(state);
    listMs = now() - began;
    known = { paths, state };
    await goOn(opened);
    log.debug({ listMs: Math.round(listMs), holds: known !== null }, "all paths listed");
  };
  const list = async (state: DatabaseState): Promise<PathIndex> => {
    const client = await deps.openDaemon(closing.signal);
    try {
      return await listPaths(client, state, times.listLimitMs);
    } finally {
      client.destroy();
    }
  };
  const goOn = async (opened: RemoteFiles): Promise<void> => {
    await look(opened);
    if (known === null) leave(Math.max(times.restMs, restPart * listMs));
  };
  const start = (work: () => Promise<void>): void => {
    looking = true;
    work()
      .catch((error: unknown) => {
        known = null;
        if (!closing.signal.aborted) log.debug({ reason: messageOf(error) }, "no list of all paths");
        leave(isForGood(error) ? Infinity : times.restMs);
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
      return known !== null && askedAt <= knownUntil && !known.paths.mayHave(hashPart);
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
      if (known === null || hashParts.every((one) => known?.paths.mayHave(one))) return;
      // The database that was looked at is not the one that the nix-daemon has.
      if (now() <= knownUntil) leave(Infinity);
      known = null;
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
