// A remote nix-daemon as a cache: lookups over one connection, NARs over a few others.

import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import type { RemoteProgram } from "../link/link.js";
import {
  createAbsence,
  defaultAbsenceTimes,
  type Absence,
  type AbsenceDeps,
  type AbsenceTimes,
} from "./absence.js";
import type { DaemonClient } from "./daemon-client.js";
import { defaultLimits, type UpstreamLimits } from "./limits.js";
import { createLookup } from "./lookup.js";
import { createNarPool } from "./nar-pool.js";
import { createOpener } from "./opener.js";
import { createPresence } from "./presence.js";
import type { Upstream } from "./upstream.js";

/** The ways to the machine. */
export interface DaemonUpstreamOptions {
  /** A fresh byte stream to the nix-daemon, before any handshake. */
  readonly openDaemon: () => Promise<Duplex>;
  /** Runs a command on the machine, where that may be possible: a NAR that was cut then goes on from its middle. */
  readonly exec?: (command: string) => Promise<RemoteProgram>;
  /** The files of the nix-daemon's database, where these may be seen: bursts of questions in vain then cost few round trips. */
  readonly store?: Pick<AbsenceDeps, "database" | "openFiles" | "isMetered">;
  readonly log: Logger;
  readonly limits?: Partial<UpstreamLimits>;
  readonly absenceTimes?: Partial<AbsenceTimes>;
}

/**
 * Opens nothing until it is asked, and keeps nothing open that is not used.
 *
 * Codes of rejections and stream errors: `timeout` (no answer to a lookup or handshake in time), `stalled` (no
 * byte of a NAR for `stallMs`), `closed` and `truncated` (the connection was lost, or `close` was called),
 * `not-valid` (the store cannot give that path), `nar-damaged` (on a stream: what arrives is not the NAR that was
 * promised), `tail-failed` (on a stream: the command did not give the end of the NAR), `busy` (every NAR connection stands
 * still), `daemon-error`, and those of `ProtocolError`.
 */
export function createDaemonUpstream(options: DaemonUpstreamOptions): Upstream {
  const { openDaemon, log } = options;
  const limits: UpstreamLimits = { ...defaultLimits, ...options.limits };
  const opener = createOpener(openDaemon, limits.openMs);
  const nars = createNarPool({
    open: (signal) => opener.open("nar", signal),
    exec: options.exec ?? null,
    limits,
    log,
  });
  const absence = openAbsence(options, (signal) => opener.open("check", signal));
  const lastByteAt = (): number => Math.max(nars.lastByteAt, absence?.lastByteAt ?? -Infinity);
  const lookup = createLookup({
    open: () => opener.open("lookup"),
    lastByteAt,
    needsRoots: () => nars.needsRoots,
    limits,
    log,
  });
  const presence = createPresence((signal) => opener.open("check", signal));
  return {
    get lastByteAt() {
      return lastByteAt();
    },
    isAbsent: (hashPart) => absence?.isAbsent(hashPart) ?? false,
    queryByHashPart: async (hashPart, signal) => {
      const info = await lookup.queryByHashPart(hashPart, signal);
      if (info === null) absence?.missed();
      else absence?.found([hashPart]);
      return info;
    },
    openNar: (info, signal) => nars.openNar(info, signal),
    openNarFrom: (info, from, signal) => nars.openNarFrom(info, from, signal),
    findPresent: async (hashParts, signal) => {
      const present = await presence.findPresent(hashParts, signal);
      absence?.found(present);
      return present;
    },
    close: () => {
      absence?.close();
      opener.close();
      lookup.close();
      presence.close();
      nars.close();
    },
  };
}

function openAbsence(
  { store, absenceTimes, log }: DaemonUpstreamOptions,
  openDaemon: (signal: AbortSignal) => Promise<DaemonClient>,
): Absence | null {
  if (store === undefined) return null;
  return createAbsence({ ...store, openDaemon, times: { ...defaultAbsenceTimes, ...absenceTimes }, log });
}
