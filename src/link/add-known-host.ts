// Writes a host key that the user has confirmed into their known_hosts, as ssh itself would.

import { createHmac, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { TetherError, messageOf } from "../util/errors.js";
import { publicKeyText } from "./host-key.js";
import { knownHostsNames } from "./known-hosts.js";
import type { SshSettings } from "./ssh-config.js";

/** The line for known_hosts, without its end. `key` is in wire form. */
export function knownHostsLine(name: string, key: Buffer, options: { readonly hash: boolean }): string {
  return `${options.hash ? hashed(name) : name} ${publicKeyText(key)}`;
}

/** sshd(8), "hashed hostnames": `|1|salt|HMAC-SHA1 of the name`. */
function hashed(name: string): string {
  const salt = randomBytes(20);
  const digest = createHmac("sha1", salt).update(name).digest("base64");
  return `|1|${salt.toString("base64")}|${digest}`;
}

/**
 * Adds the key to the first of the user's own files, making it (0600) and its folder (0700) where they are missing.
 * Resolves to the file. Rejects with code `known-hosts-unwritable`.
 */
export async function addKnownHost(settings: SshSettings, port: number, key: Buffer): Promise<string> {
  const file = settings.ownKnownHostsFile;
  if (file === null) {
    throw new TetherError("known-hosts-unwritable", "ssh_config names no file of yours for host keys", {
      remedy: "Name one as known-hosts in the configuration, or set UserKnownHostsFile in ~/.ssh/config.",
    });
  }
  const line = knownHostsLine(knownHostsNames(settings, port).exact, key, { hash: settings.hashKnownHosts });
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    // Opening a named pipe would wait for its reader.
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
    const handle = await open(file, flags, 0o600);
    try {
      const info = await handle.stat();
      if (!info.isFile()) throw new Error("it is not a regular file");
      // A last line without its end would swallow ours.
      const begin = info.size > 0 && (await lastByte(handle, info.size)) !== 0x0a ? "\n" : "";
      await handle.appendFile(`${begin}${line}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw new TetherError(
      "known-hosts-unwritable",
      `the key can not be added to ${file}: ${messageOf(error)}`,
      {
        remedy: `Add this line to it in your own way, or name another file as known-hosts in the configuration:\n${line}`,
        cause: error,
      },
    );
  }
  return file;
}

async function lastByte(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<number | undefined> {
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0];
}
