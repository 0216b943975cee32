// Remembers which machines have instructions for AES, by their host keys, so that the next connection begins with the cipher that
// suits both ends. What is not known costs speed only, so nobody is told of what goes wrong here.

import { readFileSync, statSync } from "node:fs";
import type { Logger } from "pino";
import { cipherOrder, type Ciphers, type HasAes } from "./ciphers.js";
import { fingerprint } from "./host-key.js";
import type { KnownKey } from "./known-hosts.js";
import { aesHere } from "./processors.js";
import type { SshSettings } from "./ssh-config.js";
import { messageOf } from "../util/errors.js";
import { writeStateFile } from "../util/state-file.js";

/** See `openProcessors`. */
export interface Processors {
  /** The ciphers for a machine that is to show one of these host keys. */
  ciphersFor(settings: Pick<SshSettings, "ciphers">, known: readonly KnownKey[]): Ciphers;
  /** Looks at the machine's processor when the link has stood for a moment, once: a disk with its host key may move to another. */
  learn(link: LinkToMachine, look: () => Promise<HasAes>): void;
}

/** A link of any kind. */
export interface LinkToMachine {
  /** The fingerprint of the machine's host key. */
  readonly hostKey: string;
  /** Settles when it has ended. */
  readonly closed: Promise<unknown>;
}

export interface ProcessorsOptions {
  readonly file: string;
  readonly log: Logger;
  /** This machine; by default what its /proc/cpuinfo says. */
  readonly here?: HasAes;
  /** From a link's beginning to the look, in milliseconds: others have more urgent questions then. */
  readonly afterMs?: number;
}

const mostBytes = 64 * 1024;
const mostMachines = 100;

/** Never throws; a damaged file counts for nothing. */
export function openProcessors(options: ProcessorsOptions): Processors {
  const { file, log, here = aesHere(), afterMs = 3_000 } = options;
  const known = readMachines(file, log);
  const asked = new Set<string>();

  const ask = async (link: LinkToMachine, look: () => Promise<HasAes>): Promise<void> => {
    let stands = true;
    void link.closed.then(() => (stands = false));
    asked.add(link.hostKey);
    const aes = await look();
    log.debug({ hostKey: link.hostKey, aes }, "looked for AES instructions");
    // On a link that broke nobody has refused anything.
    if (aes === null && !stands) asked.delete(link.hostKey);
    if (aes === null || aes === known.get(link.hostKey)) return;
    known.set(link.hostKey, aes);
    const machines = Object.fromEntries([...known].slice(-mostMachines));
    await writeStateFile(
      file,
      `${JSON.stringify({ version: 1, aes: machines })}\n`,
      "their processors",
    ).catch((error: unknown) => log.debug({ reason: messageOf(error) }, "processors not written down"));
  };

  return {
    ciphersFor: ({ ciphers }, keys) => {
      const machines = keys.map(({ blob }) => known.get(fingerprint(Buffer.from(blob, "base64"))));
      const there = machines.find((aes) => aes !== undefined) ?? null;
      return cipherOrder({ configured: ciphers, here, there });
    },
    learn: (link, look) => {
      if (asked.has(link.hostKey)) return;
      const timer = setTimeout(() => void ask(link, look), afterMs);
      void link.closed.then(() => clearTimeout(timer));
    },
  };
}

function readMachines(file: string, log: Logger): Map<string, boolean> {
  try {
    if (statSync(file).size > mostBytes) throw new Error("it is too large");
    const content = JSON.parse(readFileSync(file, "utf8")) as unknown;
    const aes = typeof content === "object" && content !== null && "aes" in content ? content.aes : null;
    if (typeof aes !== "object" || aes === null) throw new Error("it names no machines");
    return new Map(
      Object.entries(aes).filter((entry): entry is [string, boolean] => typeof entry[1] === "boolean"),
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      log.debug({ path: file, reason: messageOf(error) }, "what is known of processors can not be read");
    }
    return new Map();
  }
}
