// What can go wrong in a conversation with a nix-daemon: its bytes make no sense, or it reports an error itself.

import { TetherError } from "../util/errors.js";

/**
 * - `closed`: the stream ended or broke between values; `truncated`: in the middle of one
 * - `oversize`, `padding`, `bad-magic`, `unexpected-frame`: the bytes are not the worker protocol
 * - `bad-value`: a reply was read to its end, but what it says cannot be true; the conversation may go on
 * - `unsupported-version`: the daemon is too old
 * - `nar-damaged`: the bytes are no NAR, or not one of the length that was promised
 */
export type ProtocolErrorCode =
  | "closed"
  | "truncated"
  | "oversize"
  | "padding"
  | "bad-magic"
  | "bad-value"
  | "unexpected-frame"
  | "unsupported-version"
  | "nar-damaged";

/** Bytes from the daemon that are refused. All codes but `bad-value` leave the stream unusable. */
export class ProtocolError extends TetherError {
  declare readonly code: ProtocolErrorCode;

  constructor(
    code: ProtocolErrorCode,
    message: string,
    options: { remedy?: string | undefined; cause?: unknown } = {},
  ) {
    super(code, message, options);
    this.name = "ProtocolError";
  }
}

/** An error that the daemon reported (STDERR_ERROR). The conversation may go on, as far as the daemon does. */
export class DaemonError extends TetherError {
  constructor(message: string) {
    super("daemon-error", message);
    this.name = "DaemonError";
  }
}
