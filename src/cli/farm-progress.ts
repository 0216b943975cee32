// What a run of a farm is doing: on a terminal one line that changes, elsewhere a line for each step, on the stream that no
// program reads.

import { printable } from "../util/printable.js";
import { appearance, type CliContext } from "./context.js";
import { duration } from "./words.js";

export interface FarmProgress {
  step(text: string): void;
  doing(text: string): void;
  end(): void;
}

const redrawMs = 200;

export function farmProgress(context: CliContext, name: string): FarmProgress {
  const { stderr, now } = context;
  const { plain, width } = appearance({ ...context, stdout: stderr });
  const isDrawn = stderr.isTTY === true && !plain;
  let step = "";
  let begun = now();
  let drawnAt = 0;
  const clear = (): void => void (isDrawn && stderr.write("\r\u001b[K"));
  const draw = (text: string): void => {
    drawnAt = now();
    // One column is left free: some terminals wrap when the last is written.
    stderr.write(`\r${printable(text).slice(0, width - 1)}\u001b[K`);
  };
  return {
    step: (text) => {
      step = text;
      begun = now();
      clear();
      stderr.write(`${name}: ${printable(text)}\n`);
    },
    doing: (text) => {
      if (isDrawn && now() - drawnAt >= redrawMs)
        draw(`${name}: ${step}, ${duration(now() - begun)}: ${text}`);
    },
    end: clear,
  };
}
