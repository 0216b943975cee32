// Asks the daemon about the queue of uploads, in requests that fit into a line.

import { resolveDirs } from "../config/dirs.js";
import { askDaemon } from "../control/client.js";
import type { QueueItem, QueueRequest, StatusReport } from "../control/messages.js";
import { TetherError } from "../util/errors.js";
import type { CliContext } from "./context.js";

/** The spool may wait for Nix, which may wait for a garbage collector. */
const timeoutMs = 90_000;

/** Paths in one request. */
const most = 150;

/** What the daemon says after the request. */
export interface QueueAnswer {
  readonly queue: readonly QueueItem[];
  readonly status: StatusReport;
}

export async function askQueue(context: CliContext, request: QueueRequest): Promise<QueueAnswer> {
  const { controlSocket } = resolveDirs(context.env);
  const paths = "paths" in request ? request.paths : null;
  const pieces: QueueRequest[] = [];
  if (paths === null || paths.length === 0) pieces.push(request);
  else
    for (let start = 0; start < paths.length; start += most)
      pieces.push({ ...request, paths: paths.slice(start, start + most) } as QueueRequest);
  let answer: QueueAnswer | null = null;
  for (const piece of pieces) {
    const reply = await askDaemon(controlSocket, piece, { timeoutMs });
    if (!reply.ok) throw new TetherError(reply.code, reply.message, { remedy: reply.remedy });
    answer = { queue: reply.queue ?? [], status: reply.status };
  }
  if (answer === null) throw new TetherError("usage", "say which paths");
  return answer;
}
