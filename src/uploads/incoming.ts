// What the post-build hook has left in the spool: reads it, and removes it when it is in safe hands. The format is
// described where it is written, in hooks/post-build-hook.sh.

import { lstat, rm } from "node:fs/promises";
import path from "node:path";
import { isStorePath } from "../protocol/store-path.js";
import { readBounded } from "../util/durable-file.js";
import { messageOf } from "../util/errors.js";
import { isUploadable, type Addition } from "./entry.js";
import { listFolder, type MoveAside } from "./spool-folders.js";

/** Some thousand outputs of one derivation. */
const maxBytes = 1024 * 1024;

/** Files read in one go, so that years of builds do not have to fit into memory at once. */
const maxFiles = 500;

/** A hook is given ten seconds; what it has not finished after this time it never will, in milliseconds. */
const patienceMs = 60_000;

/** What was read in one go. */
export interface Batch {
  readonly additions: readonly Addition[];
  /** Whether there is more. */
  readonly more: boolean;
  /** Removes the files that these came from. */
  done(): Promise<void>;
}

/** Reads up to 500 files. What can not be used is moved aside; what is still being written is left for later. */
export async function readIncoming(folder: string, moveAside: MoveAside): Promise<Batch> {
  const { finished: names } = await listFolder(folder);
  const files: string[] = [];
  const additions: Addition[] = [];
  for (const name of names.slice(0, maxFiles)) {
    const file = path.join(folder, name);
    try {
      const { mtimeMs } = await lstat(file);
      const since = Math.max(0, Math.round(mtimeMs));
      const content = parseIncoming(await readBounded(file, maxBytes));
      if (content === null && Date.now() - since < patienceMs) continue;
      if (content === null) throw new Error("its end is missing");
      additions.push(...content.outputs.map((output) => ({ path: output, deriver: content.drv, since })));
      files.push(file);
    } catch (error) {
      await moveAside(file, messageOf(error));
    }
  }
  return {
    additions: additions.toSorted((a, b) => a.since - b.since),
    more: names.length > maxFiles && files.length > 0,
    done: async () => {
      await Promise.all(files.map((file) => rm(file, { force: true })));
    },
  };
}

/** Pure. Null where the end is missing. @throws Error that says what is wrong. */
export function parseIncoming(text: string): { drv: string | null; outputs: string[] } | null {
  const lines = text.split("\n");
  if (lines.at(-1) !== "" || lines.at(-2) !== "end") return null;
  if (lines[0] !== "nix-tether-incoming 1") throw new Error("it does not begin as the hook's files do");
  let drv: string | null = null;
  const outputs: string[] = [];
  for (const line of lines.slice(1, -2)) {
    const [, word, value = ""] = /^(drv|out) (.*)$/.exec(line) ?? [];
    if (word === "drv" && (value === "" || isStorePath(value))) drv = value === "" ? null : value;
    else if (word === "out" && isUploadable(value)) outputs.push(value);
    else throw new Error(`it has a line that is not understood: ${JSON.stringify(line.slice(0, 300))}`);
  }
  if (outputs.length === 0) throw new Error("it names no outputs");
  return { drv, outputs };
}
