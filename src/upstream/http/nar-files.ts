// The files of NARs on a web server: from their start, or from where an earlier transfer was cut.

import type { Readable } from "node:stream";
import { fileOf, type OfferedPath } from "../../protocol/offered-path.js";
import { TetherError } from "../../util/errors.js";
import type { NarTail } from "../upstream.js";
import { statusError } from "./cache-info.js";
import { fileStream } from "./file-stream.js";
import { versionIn, type FileVersions } from "./file-versions.js";
import { discard, type HttpAnswer, type HttpClient } from "./http-client.js";
import { isAbsence, narLocation } from "./narinfos.js";

export interface NarFilesDeps {
  readonly client: HttpClient;
  /** What the locations of files are relative to; ends with a "/". */
  readonly base: URL;
  readonly versions: FileVersions;
  /** Milliseconds: see `HttpLimits`. */
  readonly headersMs: number;
  readonly stallMs: number;
  readonly onStall: () => void;
  readonly onBytes: (count: number) => void;
}

export interface NarFiles {
  /**
   * The file of `info` from byte `from` on, or from its start where the server can not do that. `onEnd` is called when the
   * stream is over. Rejects with code `not-valid` where it is gone, `nar-changed` where it is another one, `stalled`,
   * `http-status`, `http-auth`, or as `HttpClient.get`.
   */
  open(info: OfferedPath, from: number, signal: AbortSignal, onEnd: () => void): Promise<NarTail>;
  /** Ends every stream. */
  close(): void;
}

export function createNarFiles(deps: NarFilesDeps): NarFiles {
  const { client, versions } = deps;
  const streams = new Set<Readable>();

  const ask = async (info: OfferedPath, url: URL, from: number, signal: AbortSignal): Promise<HttpAnswer> => {
    const late = new AbortController();
    const stalled = new TetherError("stalled", `${info.path}: no answer from the server in time`);
    const timer = setTimeout(() => late.abort(stalled), deps.headersMs);
    const version = versions.of(url.href);
    try {
      return await client.get(url, {
        signal: AbortSignal.any([signal, late.signal]),
        headers: {
          ...(from === 0 ? {} : { range: `bytes=${from}-` }),
          ...(from === 0 || version === null ? {} : { "if-range": version }),
        },
      });
    } finally {
      clearTimeout(timer);
    }
  };

  const begin = async (
    info: OfferedPath,
    from: number,
    signal: AbortSignal,
  ): Promise<{ readonly answer: HttpAnswer; readonly begins: number }> => {
    const { location, size } = fileOf(info);
    const url = narLocation(location, deps.base);
    const answer = await ask(info, url, from, signal);
    const [before, version] = [versions.of(url.href), versionIn(answer.headers)];
    try {
      if (answer.status === 206 && from > 0) {
        const range = rangeIn(answer);
        if (range === null || range.first !== from || range.last !== size - 1) {
          if (range !== null && range.whole !== size) throw changed(info);
          // It knows of ranges, and sends others than it was asked for.
          discard(answer.body);
          return await begin(info, 0, signal);
        }
        // Begun elsewhere, what goes on here is of this version.
        if (before === null) versions.note(url.href, version);
        return { answer, begins: from };
      }
      if (answer.status === 416) throw changed(info);
      if (isAbsence(answer.status)) throw new TetherError("not-valid", `${info.path}: its NAR is gone`);
      if (answer.status !== 200) throw statusError(url, answer.status);
      if (from > 0 && before !== null && version !== null && version !== before) throw changed(info);
      if (Number(answer.headers["content-length"] ?? size) !== size) throw changed(info);
      versions.note(url.href, version);
      return { answer, begins: 0 };
    } catch (error) {
      discard(answer.body);
      throw error;
    }
  };

  return {
    open: async (info, from, signal, onEnd) => {
      const { answer, begins } = await begin(info, from, signal);
      const { body, headers } = answer;
      if ((headers["content-encoding"] ?? "identity") !== "identity") {
        discard(body);
        throw new TetherError("nar-damaged", `${info.path}: the server encodes its NAR anew`);
      }
      const stream = fileStream(body, {
        stallMs: deps.stallMs,
        onStall: deps.onStall,
        onBytes: deps.onBytes,
        onEnd: () => {
          streams.delete(stream);
          onEnd();
        },
      });
      streams.add(stream);
      return { stream, begins };
    },
    close: () => {
      for (const stream of streams) stream.destroy(new TetherError("closed", "the cache was closed"));
    },
  };
}

/** Of a 206 (RFC 9110 section 14.4); null where it is none that makes sense. */
function rangeIn({
  headers,
}: HttpAnswer): { readonly first: number; readonly last: number; readonly whole: number } | null {
  const [, first, last, whole] =
    /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16})$/.exec(headers["content-range"] ?? "") ?? [];
  return whole === undefined ? null : { first: Number(first), last: Number(last), whole: Number(whole) };
}

function changed(info: OfferedPath): TetherError {
  return new TetherError("nar-changed", `${info.path}: its file is another one now`);
}
