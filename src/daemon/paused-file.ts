// Which caches the user has paused: a pause ends with `resume` and not with the daemon.

import { readFileSync, statSync } from "node:fs";
import type { Logger } from "pino";
import { messageOf } from "../util/errors.js";
import type { States } from "./controller.js";
import { createSaver, type Saver } from "./saver.js";
import { writeStateFile } from "../util/state-file.js";

/** Names of caches are short, and nobody has thousands. */
const mostBytes = 1024 * 1024;

/** Those of `caches` that the file names; none where there is no file. A damaged one is logged, and counts for nothing. */
export function readPaused(file: string, caches: readonly string[], log: Logger): string[] {
  try {
    if (statSync(file).size > mostBytes) throw new Error("it is too large");
    const content = JSON.parse(readFileSync(file, "utf8")) as unknown;
    const paused = typeof content === "object" && content !== null && "paused" in content && content.paused;
    if (!Array.isArray(paused)) throw new Error("it names nothing as paused");
    return caches.filter((name) => paused.includes(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      log.warn({ path: file, reason: messageOf(error) }, "what was paused can not be read; nothing is");
    }
    return [];
  }
}

/** Keeps the file in step with what is paused. */
export interface PausedRecord {
  /** Writes down what is paused in these states, where that has changed. */
  follow(states: States): void;
  /** Resolves when everything is written. */
  flush(): Promise<void>;
}

/** `paused` is what the file says; `onSaved` is told of each writing: null, or why it could not be done. */
export function createPausedRecord(options: {
  readonly file: string;
  readonly paused: readonly string[];
  readonly onSaved: (error: unknown) => void;
}): PausedRecord {
  const { file, onSaved } = options;
  let paused = options.paused;
  const write = (): Promise<void> =>
    writeStateFile(file, `${JSON.stringify({ version: 1, paused })}\n`, "what you have paused");
  const saver: Saver = createSaver(write, { soonMs: 0, everyMs: 0, onSaved });
  return {
    follow: (states) => {
      const now = [...states].filter(([, state]) => state.name === "paused").map(([name]) => name);
      if (now.join() === paused.join()) return;
      paused = now;
      saver.changed();
    },
    flush: saver.flush,
  };
}
