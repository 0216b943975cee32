// From a request for a file of the cache to its answer.

import { constants } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { isSame, isUnchanged, validatorsOf } from "./conditions.js";
import { parseRange } from "./range.js";
import { servedFile } from "./served-files.js";

/** Answers from the folder, which is real: no link in its path. Rejects where the client or the disk fails it. */
export async function answer(
  folder: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.on("error", () => undefined).resume();
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return sendStatus(response, 405, "only GET and HEAD\n");
  }
  const wanted = servedFile(request.url);
  const handle = wanted === null ? null : await openInside(folder, wanted.name);
  if (wanted === null || handle === null) return sendStatus(response, 404, "not here\n");
  try {
    await sendFile(handle, wanted.type, request, response);
  } finally {
    await handle.close();
  }
}

async function sendFile(
  handle: FileHandle,
  type: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { size, mtimeMs } = await handle.stat();
  const validators = validatorsOf(size, mtimeMs);
  response.setHeader("etag", validators.etag);
  response.setHeader("last-modified", validators.modified);
  if (isUnchanged(request.headers, validators)) {
    response.writeHead(304).end();
    return;
  }
  response.setHeader("accept-ranges", "bytes");
  const asked = isSame(request.headers, validators) ? parseRange(request.headers.range, size) : null;
  if (asked === "unsatisfiable") {
    response.setHeader("content-range", `bytes */${size}`);
    return sendStatus(response, 416, "there are not so many bytes\n");
  }
  const { start, end } = asked ?? { start: 0, end: size - 1 };
  response.setHeader("content-type", type);
  response.setHeader("content-length", end - start + 1);
  if (asked !== null) response.setHeader("content-range", `bytes ${start}-${end}/${size}`);
  response.statusCode = asked === null ? 200 : 206;
  if (request.method === "HEAD" || size === 0) {
    response.end();
    return;
  }
  await pipeline(handle.createReadStream({ start, end, autoClose: false }), response);
}

/** Null where there is no such file, no regular one, or one that links lead out of the folder to. */
async function openInside(folder: string, name: string): Promise<FileHandle | null> {
  try {
    const real = await realpath(path.join(folder, name));
    if (!real.startsWith(path.join(folder, path.sep))) return null;
    // Opening a named pipe would wait for its writer.
    const handle = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "EACCES") return null;
    throw error;
  }
}

/** Node leaves the body out for HEAD. */
export function sendStatus(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
