// Nix's own base 32: the digits of store path hashes and of hashes in a narinfo.

/** The 32 digits, in order: no `e`, `o`, `t` or `u`, so that hashes spell no words. */
export const nix32Digits = "0123456789abcdfghijklmnpqrsvwxyz";

/** `bytes` as Nix writes a hash: five bits a digit, taken from the end of the bytes towards their start. */
export function encodeNix32(bytes: Uint8Array): string {
  const length = Math.ceil((bytes.length * 8) / 5);
  let text = "";
  for (let digit = length - 1; digit >= 0; digit -= 1) {
    const bit = digit * 5;
    const index = bit >> 3;
    const shift = bit & 7;
    const low = bytes[index] ?? 0;
    const high = bytes[index + 1] ?? 0;
    text += nix32Digits.charAt(((low | (high << 8)) >> shift) & 31);
  }
  return text;
}

/** A SHA-256 given as 64 hexadecimal digits (as the worker protocol has it) in Nix's base 32: 52 digits. */
export function nix32FromHex(hex: string): string {
  return encodeNix32(Buffer.from(hex, "hex"));
}

/** The other way round: 64 hexadecimal digits of 52 in base 32, or null where these are no such number. */
export function hexFromNix32(text: string): string | null {
  const bytes = Buffer.alloc(32);
  if (text.length !== 52) return null;
  for (let at = 0; at < 52; at += 1) {
    const value = nix32Digits.indexOf(text.charAt(51 - at));
    if (value < 0) return null;
    const bit = at * 5;
    const index = bit >> 3;
    const shifted = value << (bit & 7);
    bytes[index] = (bytes[index] ?? 0) | (shifted & 0xff);
    const high = shifted >> 8;
    if (high === 0) continue;
    if (index + 1 >= bytes.length) return null;
    bytes[index + 1] = (bytes[index + 1] ?? 0) | high;
  }
  return bytes.toString("hex");
}
