// The control socket in the daemon's life: the first thing that stands, for it is what tells a second daemon that there is
// a first, and the last that goes.

import type { Logger } from "pino";
import type { ControlReply, ControlRequest } from "../control/messages.js";
import { serveControl } from "../control/server.js";
import type { Warnings } from "./warnings.js";

type Answer = (request: ControlRequest) => Promise<ControlReply>;

/** The control socket of a running daemon. */
export interface Control {
  /** From now on requests are answered so; before, that the daemon is still starting. */
  answerWith(answer: Answer): void;
  /** Makes the socket anew where it was removed; a failure becomes a warning. Never rejects. */
  mend(): Promise<void>;
  close(): Promise<void>;
}

/** Rejects as `serveControl`. */
export async function openControl(options: {
  readonly path: string;
  readonly warnings: Warnings;
  readonly log: Logger;
}): Promise<Control> {
  let answer: Answer = () =>
    Promise.resolve({ ok: false, code: "starting", message: "the daemon is still starting" });
  const { path, warnings, log } = options;
  const server = await serveControl({ path, handle: (request) => answer(request), log });
  const warn = warnings.follow("control-unusable", null);
  return {
    answerWith: (given) => (answer = given),
    mend: () => server.mend().then(() => warn(null), warn),
    close: () => server.close(),
  };
}
