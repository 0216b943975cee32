// Whether the client has already what it asks for (RFC 9110, section 13). Pure.

import type { IncomingHttpHeaders } from "node:http";

/** What a file is known by. */
export interface Validators {
  /** Strong: another content has another one. */
  readonly etag: string;
  /** As `Last-Modified` has it: whole seconds. */
  readonly modified: string;
}

/** For a file of which nothing but its size and its time (in milliseconds since the epoch) is known. */
export function validatorsOf(size: number, modifiedAt: number): Validators {
  return {
    etag: `"${Math.floor(modifiedAt).toString(16)}-${size.toString(16)}"`,
    modified: new Date(Math.floor(modifiedAt / 1000) * 1000).toUTCString(),
  };
}

/** Whether 304 is the answer. */
export function isUnchanged(headers: IncomingHttpHeaders, { etag, modified }: Validators): boolean {
  const tags = headers["if-none-match"];
  if (tags !== undefined)
    return tags.trim() === "*" || tags.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
  const since = Date.parse(headers["if-modified-since"] ?? "");
  return !Number.isNaN(since) && Date.parse(modified) <= since;
}

/** Whether a range of it is still a range of what the client has a part of. */
export function isSame(headers: IncomingHttpHeaders, { etag, modified }: Validators): boolean {
  const condition = headers["if-range"];
  return condition === undefined || condition === etag || condition === modified;
}
