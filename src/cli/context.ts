// What a command may touch of the world: its environment, its streams, the time, an interruption.

import { setMaxListeners } from "node:events";
import { closeSync } from "node:fs";
import { constants } from "node:os";

/** The parts of a writable stream that commands use. */
interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** The width of a terminal, in characters. */
  readonly columns?: number;
  /** The height of a terminal, in lines. */
  readonly rows?: number;
}

export interface CliContext {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Asks the person at the terminal for a line; null at its end of input. Undefined where nobody sits at one. */
  readonly ask?: ((question: string) => Promise<string | null>) | undefined;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Aborted by an `Interruption` when the user interrupts. Until the first call, that just ends the process. */
  interrupted(): AbortSignal;
}

/** Why a command was called off. */
export class Interruption extends Error {
  /** As shells have it: 128 and the signal's number. */
  readonly exitCode: number;

  constructor(name: "SIGINT" | "SIGTERM" | "SIGHUP") {
    super(`interrupted by ${name}`);
    this.name = "AbortError";
    this.exitCode = 128 + constants.signals[name];
  }
}

/** The context of the running process. */
export function processContext(): CliContext {
  return {
    env: process.env,
    stdout: process.stdout,
    stderr: process.stderr,
    // Found out when it is looked at: Node opens a stream for that, and `status` has no time to spare.
    get ask() {
      return process.stdin.isTTY && process.stdout.isTTY ? askAtTerminal : undefined;
    },
    now: Date.now,
    interrupted: () => {
      const controller = new AbortController();
      // A command may have any number of things under way.
      setMaxListeners(0, controller.signal);
      for (const name of ["SIGINT", "SIGTERM"] as const)
        process.once(name, () => controller.abort(new Interruption(name)));
      // Whoever closes a terminal is not impatient: it may be told several times.
      process.on("SIGHUP", () => {
        if (controller.signal.aborted) return;
        controller.abort(new Interruption("SIGHUP"));
        process.once("exit", leaveTerminal);
      });
      return controller.signal;
    },
  };
}

/** Node resets the terminals that it has when it ends, and aborts where one is gone. */
function leaveTerminal(): void {
  for (const stream of [0, 1, 2]) closeSync(stream);
}

/** The terminal itself edits the line, so that an interruption ends the process as it always does. */
async function askAtTerminal(question: string): Promise<string | null> {
  const { createInterface } = await import("node:readline");
  const lines = createInterface({ input: process.stdin, output: process.stdout, terminal: false });
  return new Promise((resolve) => {
    lines.once("close", () => resolve(null));
    lines.question(question, (answer) => {
      resolve(answer);
      lines.close();
    });
  });
}

/** Whether the locale's characters are more than ASCII. */
export function isUnicode(env: NodeJS.ProcessEnv): boolean {
  const locale = [env["LC_ALL"], env["LC_CTYPE"], env["LANG"]].find((one) => one !== undefined && one !== "");
  return /utf-?8/i.test(locale ?? "");
}

/** How to write for an output. */
export interface Appearance {
  readonly colour: boolean;
  /** Characters in a line; Infinity where lines may be of any length. */
  readonly width: number;
  /** In sentences, without tables and drawings: for a screen reader, or a terminal that can do no better. */
  readonly plain: boolean;
  /** Whether it can show block characters. */
  readonly blocks: boolean;
}

/**
 * Colours, drawings and a width only for a person's terminal, so that pipes get stable text. `plain` is what the person has
 * asked for.
 */
export function appearance(context: CliContext, { plain = false } = {}): Appearance {
  const { env, stdout } = context;
  if (stdout.isTTY !== true) return { colour: false, width: Infinity, plain, blocks: false };
  const wanted = Number(env["COLUMNS"]);
  const width = Number.isInteger(wanted) && wanted > 0 ? wanted : stdout.columns || 80;
  const isDumb = env["TERM"] === "dumb";
  return {
    colour: (env["NO_COLOR"] ?? "") === "" && !isDumb && !plain,
    width: Math.max(width, 20),
    plain: plain || isDumb,
    blocks: isUnicode(env),
  };
}
