// The log: one sentence a line for a person, the facts after it as key=value. What differs between the journal, a
// terminal and a file is only the frame around that.

import { fstatSync, writeSync } from "node:fs";
import { isatty } from "node:tty";
import { pino, type Level, type Logger } from "pino";
import { createLineFormat, type LogStyle } from "./log-format.js";

const levels: ReadonlySet<string> = new Set(["trace", "debug", "info", "warn", "error", "fatal"]);

/** stderr: stdout belongs to what a command was asked for. */
const logFd = 2;

/** How long a full pipe is waited for before a line is given up, in milliseconds: the log must not hang us. */
const maxWaitMs = 2_000;

/**
 * A logger at the level that `NIX_TETHER_LOG` names (default `info`; `silent` turns it off). Each line is written
 * before the call returns, so that nothing is lost at exit.
 */
export function createLog(options: {
  readonly env: NodeJS.ProcessEnv;
  /** By default found out from stderr. */
  readonly style?: LogStyle;
  /** By default to stderr. */
  readonly write?: (text: string) => void;
}): Logger {
  const { env, style = styleOf(env, logFd), write = createWriter() } = options;
  const wanted = env["NIX_TETHER_LOG"] ?? "";
  const known = levels.has(wanted) || wanted === "silent";
  const level = known ? wanted : "info";
  const format = createLineFormat(style, level === "debug" || level === "trace");
  const log = pino(
    { level: level as Level | "silent", base: null, serializers: { err: errorFields, error: errorFields } },
    { write: (line: string) => write(format(line)) },
  );
  if (wanted !== "" && !known) {
    log.warn(`NIX_TETHER_LOG=${wanted} is not a level; known are ${[...levels].join(", ")} and silent`);
  }
  return log;
}

/** How lines on this descriptor will be read: by the journal, by a person now, or from a file later. */
export function styleOf(env: NodeJS.ProcessEnv, fd: number): LogStyle {
  if (isJournal(env["JOURNAL_STREAM"], fd)) return "journal";
  if (!isatty(fd)) return "plain";
  return (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb" ? "colour" : "terminal";
}

/** systemd.exec(5): the variable is inherited by children, so only a match says that it speaks of this stream. */
function isJournal(stream: string | undefined, fd: number): boolean {
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd);
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** An error and its causes as fields; the frame of the line decides whether the stack is shown. */
function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const messages: string[] = [];
  for (let at: unknown = error; at instanceof Error && messages.length < 5; at = at.cause) {
    if (!messages.includes(at.message)) messages.push(at.message);
  }
  const { code } = error as NodeJS.ErrnoException;
  return { message: messages.join(": "), ...(code === undefined ? {} : { code }), stack: error.stack };
}

/** Writes to stderr at once; a reader that has stalled once is waited for no more until it reads again. */
function createWriter(): (text: string) => void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let patience = maxWaitMs;
  return (text) => {
    let rest = Buffer.from(text);
    const deadline = performance.now() + patience;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(logFd, rest));
        patience = maxWaitMs;
      } catch (error) {
        // A full pipe may drain; a terminal or a reader that is gone does not come back.
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
        if (performance.now() >= deadline) {
          patience = 0;
          return;
        }
        Atomics.wait(pause, 0, 0, 2);
      }
    }
  };
}
