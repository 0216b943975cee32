// Learns whether machines have instructions for AES: this one at once, another over a link to it.

import { closeSync, openSync, readSync } from "node:fs";
import { withDeadline } from "../util/abort.js";
import { aesIn, type HasAes } from "./ciphers.js";
import type { SshLink } from "./link.js";
import type { SftpLink } from "./sftp-link.js";

const file = "/proc/cpuinfo";
const ASK_MS = 5_000;
/** The first processor's part is a few KiB; all of a large machine's is a megabyte. */
const MAX_BYTES = 16 * 1024;

/** This machine. */
export function aesHere(): HasAes {
  try {
    const fd = openSync(file, "r");
    try {
      const buffer = Buffer.alloc(MAX_BYTES);
      return aesIn(buffer.toString("latin1", 0, readSync(fd, buffer)));
    } finally {
      closeSync(fd);
    }
  } catch {
    return null;
  }
}

/** The machine at the other end, where commands run. Null also where it does not let us look. Bounded; never rejects. */
export async function aesThere(link: Pick<SshLink, "exec">): Promise<HasAes> {
  try {
    const program = await link.exec(`head -c ${MAX_BYTES} ${file}`);
    const deadline = setTimeout(() => program.destroy(), ASK_MS);
    try {
      let text = "";
      // A forced command runs in its place, and may say anything at any length.
      for await (const chunk of program) {
        text += (chunk as Buffer).toString("latin1");
        if (text.length > MAX_BYTES) break;
      }
      return aesIn(text);
    } finally {
      clearTimeout(deadline);
    }
  } catch {
    return null;
  }
}

/** As `aesThere`, where files are served; those of a login that is confined to a folder do not tell. */
export async function aesInFiles(link: Pick<SftpLink, "channel">): Promise<HasAes> {
  try {
    const { bytes } = await withDeadline(link.channel().head(file, MAX_BYTES), ASK_MS, `reading ${file}`);
    return aesIn(bytes.toString("latin1"));
  } catch {
    return null;
  }
}
