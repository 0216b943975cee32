// The secret key file that what is sent is signed with: whose it is, and what the other side must know of it.

import { realpath } from "node:fs/promises";
import { readBounded } from "../util/durable-file.js";
import { TetherError, messageOf } from "../util/errors.js";

export interface SigningKey {
  readonly file: string;
  readonly name: string;
  /** `name:base64`, as `trusted-public-keys` wants it. */
  readonly publicKey: string;
}

/** `name:` and 64 bytes in base 64, of which the second half is the public key. */
const shape = /^([^\s:]+):([A-Za-z0-9+/]{86}==)\s*$/;

/** @throws TetherError `signing-key-unusable` */
export async function readSigningKey(file: string): Promise<SigningKey> {
  const unusable = (why: string, cause?: unknown): TetherError =>
    new TetherError("signing-key-unusable", `nothing can be signed with ${file}: ${why}`, {
      remedy: "Make one: nix key generate-secret --key-name NAME-1 > FILE",
      cause,
    });
  let text: string;
  try {
    // Secrets are often links to where they are kept.
    text = await readBounded(await realpath(file), 4096);
  } catch (error) {
    throw unusable(messageOf(error), error);
  }
  const [, name, secret] = shape.exec(text) ?? [];
  if (name === undefined || secret === undefined) throw unusable("it is no secret key of Nix's");
  const publicKey = Buffer.from(secret, "base64").subarray(32).toString("base64");
  return { file, name, publicKey: `${name}:${publicKey}` };
}
