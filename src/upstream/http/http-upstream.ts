// An HTTP binary cache behind the gateway: lookups and NARs, so many of each at once, over connections that are kept.

import { setMaxListeners } from "node:events";
import { ProtocolError } from "../../protocol/errors.js";
import { TetherError, messageOf } from "../../util/errors.js";
import { createTurns } from "../turns.js";
import type { NarTail, Upstream } from "../upstream.js";
import type { FileVersions } from "./file-versions.js";
import type { HttpClient } from "./http-client.js";
import { createNarFiles } from "./nar-files.js";
import { askNarinfo } from "./narinfos.js";
import type { OfferedPath } from "../../protocol/offered-path.js";

/** All times in milliseconds. */
export interface HttpLimits {
  /** Requests for narinfos at once, and such as nobody waits for. */
  readonly lookups: number;
  readonly checks: number;
  /** NARs at once; Nix asks for up to 25. */
  readonly nars: number;
  /** One that waits for its turn, while those under way get nowhere. */
  readonly turnMs: number;
  /** From the request for a NAR to its first header. */
  readonly headersMs: number;
  /** No byte of a NAR although its reader is willing: reason to ask whether the server is there. */
  readonly stallMs: number;
}

export const defaultHttpLimits: HttpLimits = {
  lookups: 16,
  checks: 8,
  nars: 16,
  turnMs: 30_000,
  headersMs: 10_000,
  stallMs: 3_000,
};

export interface HttpUpstreamOptions {
  readonly client: HttpClient;
  /** Ends with a "/". */
  readonly base: URL;
  readonly versions: FileVersions;
  readonly limits: HttpLimits;
  /** Something suggests that the server may be gone. */
  readonly onTrouble: (reason: string) => void;
  /** The server is well: bytes of NARs, or (0) an answer. */
  readonly onBytes: (count: number) => void;
  /** Told that the server refuses us a narinfo, and (null) that it does not. */
  readonly onRefused: (error: TetherError | null) => void;
}

/** Paths that are asked for together by `findPresent`. */
const checkedAtOnce = 32;

/** Codes of rejections and stream errors: those of `askNarinfo` and `NarFiles.open`, `busy` and `closed`. */
export function createHttpUpstream(options: HttpUpstreamOptions): Upstream {
  const { client, base, limits, onTrouble } = options;
  let progress = 0;
  const onBytes = (count: number): void => {
    progress += 1;
    options.onBytes(count);
  };
  const turns = (places: number): ReturnType<typeof createTurns> =>
    createTurns({ places, waitMs: limits.turnMs, progress: () => progress });
  const [lookups, checks, nars] = [turns(limits.lookups), turns(limits.checks), turns(limits.nars)];
  let closed = false;
  const files = createNarFiles({
    ...options,
    headersMs: limits.headersMs,
    stallMs: limits.stallMs,
    onStall: () => onTrouble("a NAR came to a halt"),
    onBytes,
  });

  const take = (among: typeof lookups, signal: AbortSignal): Promise<() => void> =>
    closed ? Promise.reject(new TetherError("closed", "the cache was closed")) : among.take(signal);
  /** What the server has said in whatever words is no trouble, but what it can not do is. */
  const watched = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      const result = await work();
      onBytes(0);
      return result;
    } catch (error) {
      const code = error instanceof TetherError ? error.code : "";
      if (code === "http-auth") options.onRefused(error as TetherError);
      else if (!harmless.has(code) && !(error instanceof ProtocolError)) onTrouble(messageOf(error));
      throw error;
    }
  };
  const ask = async (
    among: typeof lookups,
    hashPart: string,
    signal: AbortSignal,
  ): Promise<OfferedPath | null> => {
    const free = await take(among, signal);
    try {
      const info = await watched(() => askNarinfo(client, base, hashPart, signal));
      options.onRefused(null);
      return info;
    } finally {
      // Then the connection is one of the idle ones, and the next request takes it.
      setImmediate(free);
    }
  };
  const open = async (info: OfferedPath, from: number, signal: AbortSignal): Promise<NarTail> => {
    const free = await take(nars, signal);
    try {
      return await watched(() => files.open(info, from, signal, free));
    } catch (error) {
      free();
      throw error;
    }
  };

  return {
    queryByHashPart: (hashPart, signal) => ask(lookups, hashPart, signal),
    openNar: async (info, signal) => (await open(info, 0, signal)).stream,
    openNarFrom: (info, from, signal) => open(info, from, signal),
    findPresent: async (hashParts, signal) => {
      setMaxListeners(4 * checkedAtOnce, signal);
      for (let at = 0; at < hashParts.length; at += checkedAtOnce) {
        const some = hashParts.slice(at, at + checkedAtOnce);
        const infos = await Promise.all(
          some.map((hashPart) =>
            ask(checks, hashPart, signal).catch((error: unknown) => {
              if (isOfOnePath(error)) return null;
              throw error;
            }),
          ),
        );
        const present = some.filter((_, index) => infos[index] !== null);
        if (present.length > 0) return present;
      }
      return [];
    },
    close: () => {
      closed = true;
      for (const one of [lookups, checks, nars]) one.close();
      files.close();
    },
  };
}

/** The server has spoken, although of this path nothing can be said; the others may still be asked for. */
function isOfOnePath(error: unknown): boolean {
  const codes = ["http-status", "http-auth", "bad-redirect"];
  return error instanceof ProtocolError || (error instanceof TetherError && codes.includes(error.code));
}

/** Said of one path or one request, or by ourselves. */
const harmless = new Set([
  "not-valid",
  "nar-changed",
  "nar-damaged",
  "client-gone",
  "upstream-lost",
  "closed",
  "bad-redirect",
]);
