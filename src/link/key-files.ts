// Private key files: which can be used as they are, which are encrypted, which are missing.

import { open } from "node:fs/promises";
import ssh2 from "ssh2";
import type { ParsedKey } from "ssh2";
import { messageOf } from "../util/errors.js";

// The largest RSA key is far smaller.
const MAX_KEY_BYTES = 64 * 1024;

/** What one identity file turned out to be. */
export type KeyFile =
  | { readonly state: "usable"; readonly file: string; readonly key: ParsedKey }
  /** Only its public half is to be had (from `FILE.pub`, or the file is itself a public key), if at all. */
  | { readonly state: "encrypted" | "public"; readonly file: string; readonly key: ParsedKey | null }
  | { readonly state: "missing"; readonly file: string }
  | { readonly state: "unreadable"; readonly file: string; readonly why: string };

/** Reads one identity file. Never rejects, and never lets the key's text into a message. */
export async function readKeyFile(file: string): Promise<KeyFile> {
  let text: string;
  try {
    text = await readBounded(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      return { state: "unreadable", file, why: messageOf(error) };
    }
    const key = await readPublicHalf(file);
    return key === null ? { state: "missing", file } : { state: "public", file, key };
  }
  const key = parse(text);
  if (!(key instanceof Error)) {
    return key.isPrivateKey() ? { state: "usable", file, key } : { state: "public", file, key };
  }
  // ssh2 has no other way of saying so.
  if (/encrypted|passphrase/i.test(key.message)) {
    return { state: "encrypted", file, key: await readPublicHalf(file) };
  }
  return { state: "unreadable", file, why: key.message };
}

async function readPublicHalf(file: string): Promise<ParsedKey | null> {
  const text = await readBounded(`${file}.pub`).catch(() => null);
  const key = text === null ? null : parse(text);
  return key instanceof Error ? null : key;
}

/** `parseKey` is declared to give one key but gives a list for some formats. */
function parse(text: string): ParsedKey | Error {
  const parsed: unknown = ssh2.utils.parseKey(text);
  const first: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return first === undefined ? new Error("holds no key") : (first as ParsedKey | Error);
}

async function readBounded(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_KEY_BYTES), 0, MAX_KEY_BYTES, 0);
    return buffer.subarray(0, bytesRead).toString("utf8");
  } finally {
    await handle.close();
  }
}
