// Whether a Nix store has changed, told by when its database's files were written: pure. SQLite writes to the write-ahead log
// or, without one, to the database itself before a change can be seen by anybody.

/** A file's size in bytes, and when it was written, in milliseconds since the epoch by its machine's clock; whole seconds. */
export interface Written {
  readonly size: number;
  readonly modifiedAt: number;
}

/** The files of a database at one moment. */
export interface DatabaseState {
  readonly database: Written;
  /** Null where there is none, or an empty one: SQLite makes and removes such without any change. */
  readonly log: Written | null;
  /** The machine's clock showed this much at least. */
  readonly nowAtLeast: number;
}

/**
 * In milliseconds. What was written within the same second cannot be told from what was written before. And a change can be
 * seen by others only after it is in the log: some seconds after, where its writer is held up between the two.
 */
const quietMs = 10_000;

/** Whether every later write will show in the files' times. */
export function isQuiet({ database, log, nowAtLeast }: DatabaseState): boolean {
  return Math.max(database.modifiedAt, log?.modifiedAt ?? 0) + quietMs <= nowAtLeast;
}

/** Whether nothing was written between the two, of which the first was quiet. */
export function isUnchanged(before: DatabaseState, after: DatabaseState): boolean {
  return isSame(before.database, after.database) && isSame(before.log, after.log);
}

function isSame(one: Written | null, other: Written | null): boolean {
  return one?.size === other?.size && one?.modifiedAt === other?.modifiedAt;
}

/** What a path takes in the database at least, with the index on it, in bytes. */
const storedBytes = 200;
/** What a path takes in the list of all of them is at most this part of what it takes in the database. */
const listedPart = 1 / 4;

/** Whether a database of this size can hold so many paths: otherwise it is not the one that was asked. */
export function canHold({ database, log }: DatabaseState, paths: number): boolean {
  return database.size + (log?.size ?? 0) >= paths * storedBytes;
}

/** What SSH may have under way on one channel: ssh2's window. */
const windowBytes = 2 * 1024 * 1024;
/** Nobody's question may wait longer behind the list of all paths, in milliseconds. */
const mostWaitMs = 800;
/** And no list is worth more than this, in milliseconds. */
const mostListMs = 8_000;

/** Whether naming all paths pays on a link on which this many bytes arrive in a millisecond. */
export function listingPays({ database, log }: DatabaseState, bytesPerMs: number): boolean {
  const bytes = (database.size + (log?.size ?? 0)) * listedPart;
  return Math.min(bytes, windowBytes) <= bytesPerMs * mostWaitMs && bytes <= bytesPerMs * mostListMs;
}
