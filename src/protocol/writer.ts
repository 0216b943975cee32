// Encodes the worker protocol's values; used by the client and by whoever plays the daemon.

const zeros: readonly Buffer[] = Array.from({ length: 8 }, (_, length) => Buffer.alloc(length));

/** An unsigned 64-bit integer, little endian. `value` is a whole number from 0 to 2^53 - 1. */
export function encodeU64(value: number): Buffer {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned integer: ${value}`);
  const buffer = Buffer.allocUnsafe(8);
  buffer.writeUInt32LE(value % 0x1_0000_0000, 0);
  buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), 4);
  return buffer;
}

/** Length, bytes, and zeros up to a multiple of 8. */
export function encodeString(text: string | Buffer): Buffer {
  const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : text;
  return Buffer.concat([encodeU64(bytes.length), bytes, zeros[-bytes.length & 7] ?? Buffer.alloc(0)]);
}

/** Count, then the strings. */
export function encodeStringList(list: readonly string[]): Buffer {
  return Buffer.concat([encodeU64(list.length), ...list.map(encodeString)]);
}
