// Which static cache a person means: one of the configuration's `[static.NAME]`, a folder, or an `sftp://` URL.

import path from "node:path";
import type { Config, StaticConfig } from "../config/schema.js";
import type { HostConfig } from "../link/ssh-config.js";
import { TetherError } from "../util/errors.js";
import { nearest } from "../util/suggest.js";

/** Where a static cache lies. `folder` is an absolute path there. */
export type Place =
  | { readonly kind: "local"; readonly folder: string }
  | { readonly kind: "sftp"; readonly folder: string; readonly link: HostConfig };

/** A static cache, and how it is filled and kept. */
export interface StaticTarget {
  /** As the person has named it. */
  readonly name: string;
  readonly place: Place;
  /** The secret key file that what is pushed is signed with; null: signatures that are there already go along. */
  readonly signingKey: string | null;
  readonly compression: StaticConfig["compression"];
  /** What a collection is to take where nobody says anything else. */
  readonly collection: {
    /** Milliseconds; null where age is no reason to go. */
    readonly olderThanMs: number | null;
    /** Null where it may be of any size. */
    readonly maxBytes: number | null;
    /** See `parsePin`. */
    readonly keep: readonly string[];
  };
}

/**
 * `word` is the name of one of `config.static`, an absolute folder or one that begins with `./` or `../` (of `cwd`), or
 * `sftp://[user@]host[:port]/folder`.
 * @throws TetherError `unknown-target`, `usage`
 */
export function resolveTarget(word: string, config: Config, cwd: string): StaticTarget {
  const configured = Object.hasOwn(config.static, word) ? config.static[word] : undefined;
  if (configured !== undefined) return fromConfig(word, configured);
  const place = placeOf(word, cwd);
  if (place !== null)
    return { name: word, place, signingKey: null, compression: "zstd", collection: noCollection };
  const names = Object.keys(config.static);
  const meant = nearest(word, names);
  throw new TetherError("unknown-target", `there is no static cache named ${JSON.stringify(word)}`, {
    remedy:
      meant === undefined
        ? `Name one of the configuration's [static.NAME] (there are: ${names.join(", ") || "none"}), a folder, or sftp://user@host/folder.`
        : `Did you mean ${meant}?`,
  });
}

const noCollection: StaticTarget["collection"] = { olderThanMs: null, maxBytes: null, keep: [] };

function fromConfig(name: string, config: StaticConfig): StaticTarget {
  const { host, path: folder, compression } = config;
  const signingKey = config["signing-key"] ?? null;
  const collection = {
    olderThanMs: config["older-than"] ?? null,
    maxBytes: config["max-size"] ?? null,
    keep: config.keep,
  };
  const kept = { name, signingKey, compression, collection };
  if (host === undefined) return { ...kept, place: { kind: "local", folder } };
  const { user, port } = config;
  const link = {
    host,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port }),
  };
  return { ...kept, place: { kind: "sftp", folder, link } };
}

function placeOf(word: string, cwd: string): Place | null {
  if (/^(\/|\.\.?(\/|$))/.test(word)) return { kind: "local", folder: path.resolve(cwd, word) };
  if (!word.startsWith("sftp:")) return null;
  const wrong = (why: string): TetherError =>
    new TetherError("usage", `${withoutPassword(word)} is no place for a static cache: ${why}`, {
      remedy: "Write it as sftp://user@host/folder, the folder from the machine's root.",
    });
  if (!URL.canParse(word)) throw wrong("it is no URL");
  const { hostname, username, password, port, pathname, search, hash } = new URL(word);
  if (password !== "") throw wrong("a password does not belong there; keys and the agent are used");
  if (hostname === "" || hostname.startsWith("-")) throw wrong("it names no host");
  if (search !== "" || hash !== "") throw wrong("? and # mean nothing here");
  const folder = decoded(pathname);
  const user = decoded(username);
  if (folder === null || user === null) throw wrong("a % in it is written %25");
  if (folder === "" || folder === "/") throw wrong("it names no folder");
  const link = {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    ...(user === "" ? {} : { user }),
    ...(port === "" ? {} : { port: Number(port) }),
  };
  return { kind: "sftp", folder: path.posix.normalize(folder), link };
}

/** Null where it is malformed. */
function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

function withoutPassword(word: string): string {
  return word.replace(/:[^/@]*@/, ":…@");
}
