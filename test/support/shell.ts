// Commands run in this process: in folders of their own, with what they write caught, and a daemon that a test plays.

import path from "node:path";
import { onTestFinished } from "vitest";
import type { CliContext } from "../../src/cli/context.js";
import { runProgram } from "../../src/cli/program.js";
import type { ControlReply, ControlRequest, StatusReport } from "../../src/control/messages.js";
import { serveControl } from "../../src/control/server.js";
import { silentLog } from "./silent-log.js";
import { reportTime } from "./status-report.js";
import { temporaryFolder } from "./temp-folder.js";

export interface Shell {
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  run(...argv: string[]): Promise<{ code: number; out: string; err: string }>;
}

/** A place of its own to run commands in, as a terminal of this width if one is given. */
export function shell(
  terminal: { columns?: number; rows?: number; interrupted?: AbortSignal; onWrite?: () => void } = {},
): Shell {
  const root = temporaryFolder();
  const env = { HOME: root, XDG_RUNTIME_DIR: root, XDG_CONFIG_HOME: path.join(root, "config") };
  const run = async (...argv: string[]): Promise<{ code: number; out: string; err: string }> => {
    let out = "";
    let err = "";
    const context: CliContext = {
      env,
      stdout: {
        write: (text) => {
          out += text;
          terminal.onWrite?.();
        },
        ...(terminal.columns === undefined
          ? {}
          : { isTTY: true, columns: terminal.columns, rows: terminal.rows ?? 10 }),
      },
      stderr: {
        write: (text) => {
          err += text;
          terminal.onWrite?.();
        },
      },
      now: () => reportTime,
      interrupted: () => terminal.interrupted ?? new AbortController().signal,
    };
    const code = await runProgram(argv, context);
    return { code, out, err };
  };
  return { root, env, run };
}

/** A daemon as the commands see it. */
export async function daemon(
  { root }: Shell,
  handle: (request: ControlRequest) => ControlReply | StatusReport,
): Promise<void> {
  const server = await serveControl({
    path: path.join(root, "nix-tether/control.sock"),
    handle: async (request) => {
      const reply = handle(request);
      return "ok" in reply ? reply : { ok: true, status: reply };
    },
    log: silentLog,
  });
  onTestFinished(() => server.close());
}
