// Sends what is staged: NARs in any order and several at once, a narinfo only when its own NAR and the narinfos of all that it
// refers to are there. So the cache is complete at every moment.

import { rm } from "node:fs/promises";
import path from "node:path";
import { maxNarinfoBytes, parseNarinfo, type Narinfo } from "../protocol/narinfo-file.js";
import { parseStorePath } from "../protocol/store-path.js";
import { readBounded } from "../util/durable-file.js";
import { TetherError, messageOf } from "../util/errors.js";
import { createLimit } from "../util/limit.js";
import type { CacheFolder } from "./cache-folder.js";
import { narinfoName, narNameOf } from "./cache-names.js";
import type { Present } from "./present.js";

export interface SendingOptions {
  readonly folder: CacheFolder;
  /** The stage's folder. */
  readonly stage: string;
  readonly present: Pick<Present, "nars" | "replaced">;
  readonly signal: AbortSignal;
  /** Called before each narinfo; throws where it must not be written any more. */
  readonly check: () => void;
  /** So much of the path's NAR has arrived, as a part of the whole, and so many bytes were sent for it. */
  readonly onPart: (path: string, part: number, bytes: number) => void;
}

/** At once. */
const mostNars = 24;
const mostNarinfos = 64;

/** Resolves when the path is in the cache; all that it refers to, and that is not there, must have been sent before. */
export type Send = (path: string, references: readonly string[]) => Promise<void>;

export function createSending(options: SendingOptions): Send {
  const { folder, stage, signal, check, onPart } = options;
  const arrived = new Map<string, Promise<void>>();
  const sent = new Map<string, Promise<void>>();
  const nars = createLimit(mostNars);
  const narinfos = createLimit(mostNarinfos);

  const sendNar = async (name: string, onBytes: (bytes: number) => void): Promise<void> => {
    const file = path.join(stage, name);
    await nars(() => folder.put(name, { file }, { signal, contentNamed: true, onBytes }));
  };
  const sendPath = async (storePath: string, references: readonly string[]): Promise<void> => {
    const name = narinfoName(parseStorePath(storePath)?.hashPart ?? "");
    const { text, narinfo, nar, size } = await readStaged(path.join(stage, name));
    let bytes = 0;
    const onBytes = (more: number): void => {
      bytes += more;
      onPart(storePath, size === 0 ? 1 : bytes / size, more);
    };
    // Two paths with the same content have one NAR.
    const there = options.present.nars.get(nar) === size;
    const sending = sent.get(nar) ?? (there ? Promise.resolve() : sendNar(nar, onBytes));
    sent.set(nar, sending);
    await sending;
    onPart(storePath, 1, 0);
    await rm(path.join(stage, nar), { force: true });
    await Promise.all(references.map(async (one) => arrived.get(one)));
    signal.throwIfAborted();
    const more = signaturesOf(options.present.replaced.get(storePath), narinfo);
    await narinfos(() => folder.put(name, Buffer.from(text + more), { signal, check }));
  };
  return (storePath, references) => {
    const arriving = sendPath(storePath, references);
    arrived.set(storePath, arriving);
    return arriving;
  };
}

/** The lines for who has signed the same content before: others may trust only these. */
function signaturesOf(there: Narinfo | undefined, { info }: Narinfo): string {
  if (there === undefined || there.info.narHash !== info.narHash) return "";
  const others = there.info.signatures.filter((one) => !info.signatures.includes(one));
  return others.map((one) => `Sig: ${one}\n`).join("");
}

interface Staged {
  readonly text: string;
  readonly narinfo: Narinfo;
  /** The name of its NAR, and its size in bytes. */
  readonly nar: string;
  readonly size: number;
}

async function readStaged(file: string): Promise<Staged> {
  try {
    const text = await readBounded(file, maxNarinfoBytes);
    const narinfo = parseNarinfo(text);
    const nar = narNameOf(narinfo.url);
    if (nar === null || narinfo.fileSize === null) throw new Error("it names no NAR of a known size");
    return { text, narinfo, nar, size: narinfo.fileSize };
  } catch (error) {
    const why = `what nix copy has made in ${file} can not be used: ${messageOf(error)}`;
    throw new TetherError("stage-failed", why, { cause: error });
  }
}
