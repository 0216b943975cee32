// Which version of a file was begun, by what its server calls it: the rest of another one is never put behind it.

import type { IncomingHttpHeaders } from "node:http";

/** More files than are ever under way. */
const mostFiles = 1_000;

/** By where a file is. Those of one way to a cache, for another server has other names; outlives the way's connections. */
export interface FileVersions {
  of(location: string): string | null;
  note(location: string, version: string | null): void;
}

export function createFileVersions(): FileVersions {
  const versions = new Map<string, string>();
  return {
    of: (location) => versions.get(location) ?? null,
    note: (location, version) => {
      versions.delete(location);
      if (version === null) return;
      versions.set(location, version);
      const [oldest] = versions.keys();
      if (versions.size > mostFiles && oldest !== undefined) versions.delete(oldest);
    },
  };
}

/** What `If-Range` takes (RFC 9110): a strong ETag, or else the time of the last change; null where there is neither. */
export function versionIn({ etag, "last-modified": modified }: IncomingHttpHeaders): string | null {
  return etag?.startsWith('"') === true ? etag : (modified ?? null);
}
