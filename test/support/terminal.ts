// A program at a terminal: in a pty of script(1), with somebody who answers its questions.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { withDeadline } from "../../src/util/abort.js";

export interface AtTerminal {
  readonly code: number | null;
  /** What was on the screen, the answers included. Lines end with "\r\n". */
  readonly screen: string;
}

/** Types `answers` one after the other, each when `question` is on the screen once more. */
export async function runAtTerminal(
  argv: readonly string[],
  options: {
    readonly env: NodeJS.ProcessEnv;
    readonly question: RegExp;
    readonly answers: readonly string[];
  },
): Promise<AtTerminal> {
  const { env, question } = options;
  const command = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], { env, stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  const answers = [...options.answers];
  let screen = "";
  let unanswered = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    unanswered += text;
    const match = question.exec(unanswered);
    const answer = match === null ? undefined : answers.shift();
    if (match === null || answer === undefined) return;
    unanswered = unanswered.slice(match.index + match[0].length);
    child.stdin.write(answer);
  });
  try {
    const [code] = (await withDeadline(once(child, "close"), 40_000, command)) as [number | null];
    return { code, screen };
  } catch (error) {
    child.kill("SIGKILL");
    throw new Error(`${String(error)}\n${screen}`, { cause: error });
  }
}
