// Asks the running daemon one thing over its control socket. Loads nothing heavy: `status` must be quick.

import net from "node:net";
import { TetherError, messageOf } from "../util/errors.js";
import { createLineSplitter, type Line } from "./lines.js";
import type { ControlReply, ControlRequest } from "./messages.js";

/** A queue of some ten thousand paths would fit. */
const maxReplyBytes = 16 * 1024 * 1024;

/**
 * The daemon's answer to `request`.
 * @throws TetherError `no-daemon` when none listens at `path`; `timeout` after `timeoutMs` milliseconds;
 * `control-failed` when the socket can not be used or the answer makes no sense.
 */
export function askDaemon(
  path: string,
  request: ControlRequest,
  options: { timeoutMs: number },
): Promise<ControlReply> {
  return new Promise((resolve, reject) => {
    const splitter = createLineSplitter(maxReplyBytes);
    const socket = net.connect(path);
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      finish();
    };
    const fail = (error: unknown): void => settle(() => reject(error as Error));
    const timer = setTimeout(() => {
      fail(
        new TetherError("timeout", `the daemon did not answer within ${options.timeoutMs / 1000} s`, {
          remedy: "If this goes on, restart it: systemctl --user restart nix-tether",
        }),
      );
    }, options.timeoutMs);

    const take = (line: Line | undefined): void => {
      if (line === undefined) return;
      try {
        const reply = parseReply(line);
        settle(() => resolve(reply));
      } catch (error) {
        fail(error);
      }
    };
    socket.on("error", (error) => fail(connectError(path, error)));
    socket.on("data", (chunk) => take(splitter.push(chunk)[0]));
    socket.on("close", () => fail(failed("the daemon closed the connection without an answer")));
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

/** Checked by hand, for a schema library would cost more than the whole of `status`. */
function parseReply(line: Line): ControlReply {
  if (!("text" in line)) throw failed("the daemon's answer is too long");
  let reply: unknown;
  try {
    reply = JSON.parse(line.text);
  } catch (error) {
    throw failed("the daemon's answer is not JSON", error);
  }
  if (isObject(reply) && reply["ok"] === false && typeof reply["message"] === "string") {
    const { remedy } = reply;
    const error = { ok: false as const, code: String(reply["code"]), message: reply["message"] };
    return typeof remedy === "string" ? { ...error, remedy } : error;
  }
  const status = isObject(reply) && reply["ok"] === true ? reply["status"] : undefined;
  if (!isObject(status) || !isObject(status["caches"])) throw failed("the daemon's answer makes no sense");
  if (status["version"] !== 1) {
    throw new TetherError("control-failed", "the running daemon is of another version than this command", {
      remedy: "Restart it: systemctl --user restart nix-tether",
    });
  }
  return reply as ControlReply;
}

function connectError(path: string, error: NodeJS.ErrnoException): TetherError {
  if (error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "ENOTDIR") {
    return new TetherError("no-daemon", "no daemon is running", {
      remedy: "Start it: systemctl --user start nix-tether (or: nix-tether run)",
      cause: error,
    });
  }
  return failed(`the daemon can not be reached at ${path}: ${messageOf(error)}`, error);
}

function failed(message: string, cause?: unknown): TetherError {
  return new TetherError("control-failed", message, { cause });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
