// What the demo shows: one line for each thing that happened, with the seconds since the start.

import { styleText } from "node:util";

/** Where the lines go. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Timeline {
  /** A line that stands apart, without a time. */
  heading(text: string): void;
  /** Something begins, or a fact worth knowing. */
  note(text: string): void;
  /** Something was promised and has happened. */
  done(text: string): void;
  /** Something was promised and has not happened. */
  failed(text: string): void;
}

/** A timeline that starts now. Colours only where `out` is a terminal and the user has not said NO_COLOR. */
export function createTimeline(out: Output, env: NodeJS.ProcessEnv, now: () => number): Timeline {
  const start = now();
  const colours = out.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    colours ? styleText(style, text, { validateStream: false }) : text;
  const line = (mark: string, text: string): void => {
    const seconds = `${((now() - start) / 1000).toFixed(1).padStart(5)} s`;
    out.write(`${paint("dim", seconds)}  ${mark} ${text}\n`);
  };
  return {
    heading: (text) => void out.write(`${paint("bold", text)}\n`),
    note: (text) => line(paint("dim", "·"), text),
    done: (text) => line(paint("green", "✓"), text),
    failed: (text) => line(paint("red", "✗"), text),
  };
}

/** Milliseconds as people say them. */
export function spell(ms: number): string {
  return ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Bytes as Nix shows them. */
export function size(bytes: number): string {
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
