// The file that tells Nix which caches to use. Nix refuses to run at all on a half-written line in it, so it
// only ever changes as a whole: written beside itself, flushed to disk, renamed into place.

import { constants, readFileSync } from "node:fs";
import { lstat, mkdir, open } from "node:fs/promises";
import path from "node:path";
import type { Logger } from "pino";
import { replaceFile } from "../util/durable-file.js";
import { TetherError, messageOf } from "../util/errors.js";
import { createSerial } from "../util/serial.js";

/** One cache as Nix is told of it. */
export interface OverrideEntry {
  readonly name: string;
  /** Complete with its query: Nix compares this, to the letter, with what root has allowed. */
  readonly url: string;
  /** Only those that Nix will take from this user; others would make every nix command warn. */
  readonly publicKeys: readonly string[];
}

/** The override on disk. */
export interface OverrideFile {
  /**
   * Replaces the content, unless it is this already. With no entries the file is emptied and not removed, so
   * that a plain `include` of it stays valid. A symbolic link at the path is replaced, its target left alone. What is
   * written while another writing is under way comes after it.
   * @throws TetherError `override-unwritable`; the file then lists nothing, if even that is possible: on a full disk it
   * is. Not thrown where nothing is what it should list.
   */
  readonly write: (entries: readonly OverrideEntry[]) => Promise<void>;
  /** The names of the caches that the file on disk lists now; none where there is no readable file. */
  readonly readListed: () => string[];
}

const header = `# Written by nix-tether: the caches that are in reach at this moment. Changes made here are lost.
# Take it in with this line at the end of nix.conf:  !include nix-tether.conf
`;

export function createOverrideFile(options: { readonly path: string; readonly log: Logger }): OverrideFile {
  const { path: file, log } = options;
  const inTurn = createSerial();
  const write = async (entries: readonly OverrideEntry[]): Promise<void> => {
    const content = overrideText(entries);
    if (readOrNull(file) === content) return;
    try {
      await putInPlace(file, content);
    } catch (error) {
      const emptied = await emptyInPlace(file);
      if (!emptied || entries.length > 0) throw unwritable(file, error);
    }
    log.debug({ path: file, listed: entries.map(({ name }) => name) }, "override written");
  };
  return {
    write: (entries) => inTurn(() => write(entries)),
    readListed: () => listedNames(readOrNull(file) ?? ""),
  };
}

/** Pure: the file's whole text. */
export function overrideText(entries: readonly OverrideEntry[]): string {
  const urls = entries.map(({ url }) => url);
  const keys = [...new Set(entries.flatMap(({ publicKeys }) => publicKeys))];
  return [
    header,
    ...(urls.length > 0 ? [`extra-substituters = ${urls.map(oneWord).join(" ")}\n`] : []),
    ...(keys.length > 0 ? [`extra-trusted-public-keys = ${keys.map(oneWord).join(" ")}\n`] : []),
  ].join("");
}

/** What identifies a cache's URL. The generation (0 to 15) makes Nix forget its cached "not here". */
export interface CacheUrlParts {
  readonly port: number;
  readonly name: string;
  readonly generation?: number | undefined;
}

/** `http://127.0.0.1:PORT/NAME[/GEN]`: the key under which Nix remembers answers. */
export function bareCacheUrl({ port, name, generation }: CacheUrlParts): string {
  return `http://127.0.0.1:${port}/${name}${generation === undefined ? "" : `/${generation}`}`;
}

/** The URL as it is listed: with `?priority=N`, and `&trusted=true` where unsigned paths are accepted. */
export function cacheUrl(
  parts: CacheUrlParts & { readonly priority: number; readonly trusted: boolean },
): string {
  return `${bareCacheUrl(parts)}?priority=${parts.priority}${parts.trusted ? "&trusted=true" : ""}`;
}

function listedNames(text: string): string[] {
  const urls = /^extra-substituters =(.*)$/m.exec(text)?.[1] ?? "";
  return urls.split(/\s+/).flatMap((url) => /^http:\/\/127\.0\.0\.1:\d+\/([^/?]+)/.exec(url)?.[1] ?? []);
}

/** A space would make two values of one, and a "#" a comment of the rest. */
function oneWord(value: string): string {
  if (/^[^\s#]+$/.test(value)) return value;
  throw new TetherError("override-unwritable", `${JSON.stringify(value)} can not stand in nix.conf`);
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}

async function putInPlace(file: string, content: string): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  const isFolder = await lstat(file).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (isFolder) throw new Error("it is a folder");
  // Nix must not find a cache that has gone, however busy the disk is; after a power cut the daemon starts with nothing.
  await replaceFile(file, content, { mode: 0o644, flush: false });
}

/**
 * Takes out a list that can not be replaced, which needs no space on the disk; whether there was one and it is out. A
 * reader sees all of the old content or none.
 */
async function emptyInPlace(file: string): Promise<boolean> {
  if (listedNames(readOrNull(file) ?? "").length === 0) return false;
  try {
    const handle = await open(file, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      await handle.truncate();
    } finally {
      await handle.close();
    }
    return true;
  } catch {
    return false;
  }
}

function unwritable(file: string, error: unknown): TetherError {
  if (error instanceof TetherError) return error;
  const full = ["ENOSPC", "EDQUOT"].includes((error as NodeJS.ErrnoException).code ?? "");
  const remedy = full
    ? "Free some space on that disk."
    : `Make ${path.dirname(file)} a folder that you can write to, with nothing but a file named ${path.basename(file)} in this place.`;
  const message = `the override ${file} can not be written: ${messageOf(error)}`;
  return new TetherError("override-unwritable", message, { remedy, cause: error });
}
