// Shows how far a command's work on a static cache has come: a line on a terminal, a sentence now and then elsewhere.

import type { Progress } from "../static/progress.js";
import type { CliContext } from "./context.js";
import { bytesOf } from "./words.js";

export interface WorkProgress {
  show(progress: Progress): void;
  /** Takes the line away. */
  end(): void;
}

/** In milliseconds. */
const drawEvery = 100;
const tellEvery = 10_000;

export function createWorkProgress({ stderr, now, env }: CliContext): WorkProgress {
  const isDrawn = stderr.isTTY === true && env["TERM"] !== "dumb";
  let shownAt = isDrawn ? Number.NEGATIVE_INFINITY : now();
  let isThere = false;
  return {
    show: (progress) => {
      if (now() < shownAt + (isDrawn ? drawEvery : tellEvery)) return;
      shownAt = now();
      if (isDrawn) stderr.write(`\r${progressText(progress)}\u001b[K`);
      else stderr.write(`nix-tether: ${progressText(progress)}\n`);
      isThere = isDrawn;
    },
    end: () => {
      if (isThere) stderr.write("\r\u001b[K");
      isThere = false;
    },
  };
}

function progressText({ doing, done, all }: Progress): string {
  if (doing === "checking") return `checking NARs: ${bytesOf(done, all)}`;
  return doing === "reading" ? `reading: ${done} of ${all} narinfos` : `removing: ${done} of ${all} files`;
}
