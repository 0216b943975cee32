// The frames that a nix-daemon may send before the answer to a request: log lines, activities, an error, the end.

import { printable } from "../util/printable.js";
import { DaemonError, ProtocolError } from "./errors.js";
import type { WireReader } from "./reader.js";
import { atLeast } from "./version.js";
import { encodeString, encodeU64 } from "./writer.js";

/** The words that begin a frame (STDERR_* in Nix). */
export const stderrFrame = {
  next: 0x6f6c6d67,
  read: 0x64617461,
  write: 0x64617416,
  last: 0x616c7473,
  error: 0x63787470,
  startActivity: 0x53545254,
  stopActivity: 0x53544f50,
  result: 0x52534c54,
} as const;

const maxText = 256 * 1024;
const maxFields = 1024;
const maxTraces = 1024;

/**
 * Reads frames up to and including LAST, after which the answer follows. Log lines and activities are dropped.
 * Throws DaemonError for an ERROR frame, and ProtocolError for anything that is no frame.
 */
export async function readUntilLast(reader: WireReader, protocol: number): Promise<void> {
  for (;;) {
    const word = await reader.u64();
    switch (word) {
      case stderrFrame.last:
        return;
      case stderrFrame.error:
        throw await readError(reader, protocol);
      case stderrFrame.next:
      case stderrFrame.write:
        await reader.string(maxText);
        break;
      case stderrFrame.startActivity:
        await reader.bytes(3 * 8);
        await reader.string(maxText);
        await skipFields(reader);
        await reader.bytes(8);
        break;
      case stderrFrame.stopActivity:
        await reader.bytes(8);
        break;
      case stderrFrame.result:
        await reader.bytes(2 * 8);
        await skipFields(reader);
        break;
      case stderrFrame.read:
        throw new ProtocolError("unexpected-frame", "the nix-daemon asks for data that was never offered");
      default:
        throw new ProtocolError(
          "unexpected-frame",
          `no frame of the worker protocol: 0x${word.toString(16)}`,
        );
    }
  }
}

/** The error that follows the word STDERR_ERROR, without colours and other terminal controls. */
export async function readError(reader: WireReader, protocol: number): Promise<DaemonError> {
  if (!atLeast(protocol, 26)) {
    const text = await reader.string(maxText);
    await reader.bytes(8);
    return new DaemonError(printable(text));
  }
  await reader.string(64);
  await reader.bytes(8);
  await reader.string(maxText);
  const text = await reader.string(maxText);
  await reader.bytes(8);
  const traces = await reader.u64();
  if (traces > maxTraces) throw new ProtocolError("oversize", `an error with ${traces} traces`);
  for (let i = 0; i < traces; i += 1) {
    await reader.bytes(8);
    await reader.string(maxText);
  }
  return new DaemonError(printable(text));
}

/** An ERROR frame as a daemon of that protocol sends it. */
export function encodeError(protocol: number, text: string): Buffer {
  const word = encodeU64(stderrFrame.error);
  if (!atLeast(protocol, 26)) return Buffer.concat([word, encodeString(text), encodeU64(1)]);
  const zero = encodeU64(0);
  return Buffer.concat([
    word,
    encodeString("Error"),
    zero,
    encodeString("Error"),
    encodeString(text),
    zero,
    zero,
  ]);
}

async function skipFields(reader: WireReader): Promise<void> {
  const count = await reader.u64();
  if (count > maxFields) throw new ProtocolError("oversize", `a log frame with ${count} fields`);
  for (let i = 0; i < count; i += 1) {
    const kind = await reader.u64();
    if (kind === 0) await reader.bytes(8);
    else if (kind === 1) await reader.string(maxText);
    else throw new ProtocolError("unexpected-frame", `a log field of unknown kind ${kind}`);
  }
}
