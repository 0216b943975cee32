// How far a push has come: a bar on a terminal, elsewhere a line now and then, on the stream that no program reads.

import type { PushProgress } from "../static/push-meter.js";
import { printable } from "../util/printable.js";
import { createRate } from "../util/rate.js";
import { appearance, type CliContext } from "./context.js";
import { progressLine, progressText, type UploadProgress } from "./upload-progress.js";

export interface PushTeller {
  show(progress: PushProgress): void;
  notice(text: string): void;
  /** Takes the bar away. */
  end(): void;
}

const drawEveryMs = 200;
const tellEveryMs = 10_000;

/** Once a second is enough for a rate, which is that of the last ones. */
const sampleMs = 1_000;

export function pushProgress(context: CliContext, options: { readonly plain: boolean }): PushTeller {
  const { stderr, now } = context;
  const { plain, width } = appearance({ ...context, stdout: stderr }, options);
  const isDrawn = stderr.isTTY === true && !plain;
  const rate = createRate();
  let shownAt = isDrawn ? -Infinity : now();
  let sampledAt = -Infinity;
  let isThere = false;
  const end = (): void => {
    if (isThere) stderr.write("\r\u001b[K");
    isThere = false;
  };
  return {
    show: (progress) => {
      if (progress.state === "sending" && now() >= sampledAt + sampleMs) {
        sampledAt = now();
        rate.sample(sampledAt, progress.bytes.sent);
      }
      if (now() < shownAt + (isDrawn ? drawEveryMs : tellEveryMs)) return;
      shownAt = now();
      if (isDrawn) stderr.write(`\r${lineOf(progress, rate.perSecond(), width - 1)}\u001b[K`);
      else stderr.write(`nix-tether: ${textOf(progress, rate.perSecond())}\n`);
      isThere = isDrawn;
    },
    notice: (text) => {
      end();
      stderr.write(`nix-tether: ${printable(text)}\n`);
    },
    end,
  };
}

/** One column is left free by the caller: some terminals wrap when the last is written. */
function lineOf(progress: PushProgress, rate: number | null, width: number): string {
  return progress.state === "sending" && progress.waits === null
    ? progressLine(inUploadWords(progress, rate), width)
    : textOf(progress, rate).slice(0, width);
}

function textOf(progress: PushProgress, rate: number | null): string {
  if (progress.waits !== null) return `the link was cut; connecting again`;
  if (progress.state === "looking") return "looking at what is there already";
  return progressText(inUploadWords(progress, rate));
}

function inUploadWords({ paths, bytes }: PushProgress, rate: number | null): UploadProgress {
  return { paths, bytes: { sent: bytes.sent, size: bytes.all }, rate, waits: [] };
}
