// What an SFTP server's refusal means: it says only "Failure" where the disk is full or read-only.

import { SftpError, type RemoteSpace } from "../link/sftp-channel.js";
import { TetherError, messageOf } from "../util/errors.js";
import { folderError } from "./failures.js";

export interface FailureContext {
  /** What was being done. */
  readonly what: string;
  /** Where. */
  readonly label: string;
  /** Asks the server about its disk; null where it does not tell. */
  readonly space: () => Promise<RemoteSpace | null>;
}

/** A disk with less than this free, in bytes, is full: what did not fit is no longer counted. */
const nothing = 1024 * 1024;

/** A TetherError with one of the codes of `CacheFolder`. */
export async function sftpFailure(
  problem: unknown,
  { what, label, space }: FailureContext,
): Promise<unknown> {
  const message = `can not ${what} (${label}): `;
  if (problem instanceof TetherError) {
    const gone = problem.code === "link-lost" || problem.code === "link-closed";
    return gone ? folderError("unreachable", `${message}${problem.message}`, problem) : problem;
  }
  if ((problem as Error).name === "AbortError") return problem;
  if (!(problem instanceof SftpError))
    return folderError("failed", `${message}${messageOf(problem)}`, problem);
  if (problem.status === "forbidden")
    return folderError("forbidden", `${message}${problem.message}`, problem);
  if (problem.status === "failure") {
    const disk = await space().catch(() => null);
    if (disk?.readOnly === true) return folderError("forbidden", `${message}the disk is read-only`, problem);
    if (disk !== null && (disk.free < nothing || disk.freeFiles === 0))
      return folderError("full", `${message}no space is left on the disk`, problem);
  }
  return folderError("failed", `${message}${problem.message}`, problem);
}
