// The text of a small answer, read within bounds.

import type { IncomingMessage } from "node:http";

/** Null where the body is encoded, or longer than `maxBytes`. Rejects with the signal's reason, or when it is cut. */
export async function readText(
  body: IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string | null> {
  const onAbort = (): void => void body.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const pieces: Buffer[] = [];
    let length = 0;
    const encoding = body.headers["content-encoding"] ?? "identity";
    if (encoding === "identity") {
      for await (const piece of body) {
        pieces.push(piece as Buffer);
        length += (piece as Buffer).length;
        if (length > maxBytes) return null;
      }
      return Buffer.concat(pieces).toString("utf8");
    }
    return null;
  } finally {
    signal.removeEventListener("abort", onAbort);
    body.destroy();
  }
}
