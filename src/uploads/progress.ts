// What can be told of the uploads to one target at any moment.

import { createCopyMeter, type CopyMeter, type Going } from "./copy-meter.js";

/** How far the uploads to one target have come. */
export interface UploadProgress {
  /** `offline`: not in reach, or paused. `held`: what waits must wait for other conditions. */
  readonly state: "resting" | "copying" | "backing-off" | "held" | "offline";
  /** Why it waits: a sentence, or null. */
  readonly reason: string | null;
  /** The path that is on its way. */
  readonly now: string | null;
  /** The copy that is under way. */
  readonly going: Going | null;
  /** Bytes per second at present; null while nothing is copied. */
  readonly rate: number | null;
  /** Since the daemon's start. */
  readonly uploaded: number;
  /** Since the daemon's start, as NARs, what is on its way included; what is sent again counts once. Never falls. */
  readonly bytes: number;
}

export interface ProgressRecord {
  is(state: UploadProgress["state"], reason: string | null): void;
  /** A copy of all these begins; see `createCopyMeter`. */
  begins(sizes: ReadonlyMap<string, number>, wire: () => number): void;
  /** Nix begins with this path. */
  path(path: string): void;
  /** So many paths have arrived, for which so many bytes were sent. */
  arrived(paths: number, bytes: number): void;
  /** No copy is under way any more. */
  ends(): void;
  read(): UploadProgress;
  /** Bytes of a path that have gone with the copy under way; null where it is no part of that. */
  sentOf(path: string): number | null;
}

export function createProgress(): ProgressRecord {
  let state: UploadProgress["state"] = "offline";
  let reason: string | null = null;
  let now: string | null = null;
  let meter: CopyMeter | null = null;
  let uploaded = 0;
  let arrivedBytes = 0;
  let shownBytes = 0;

  const ends = (): void => {
    meter?.end();
    meter = null;
    now = null;
  };
  return {
    is: (name, why) => {
      state = name;
      reason = why;
    },
    begins: (sizes, wire) => {
      ends();
      meter = createCopyMeter(sizes, wire);
    },
    path: (path) => {
      now = path;
      meter?.begun(path);
    },
    arrived: (paths, bytes) => {
      // What was measured on the way is known now.
      if (bytes > 0) ends();
      uploaded += paths;
      arrivedBytes += bytes;
    },
    ends,
    read: () => {
      const going = meter?.going() ?? null;
      shownBytes = Math.max(shownBytes, arrivedBytes + (going?.sent ?? 0));
      return { state, reason, now, going, rate: meter?.rate() ?? null, uploaded, bytes: shownBytes };
    },
    sentOf: (path) => meter?.sentOf(path) ?? null,
  };
}
