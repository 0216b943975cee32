// What a person is told where a target trusts neither the login nor a signature: once for the target, not for each path.

import type { Entry } from "./entry.js";
import type { SigningKey } from "../nix/signing-key.js";

/** Null where nothing was refused for want of a signature. */
export function unsignedText(name: string, entries: readonly Entry[], key: SigningKey | null): string | null {
  const count = entries.filter(({ targets }) => targets[name]?.code === "unsigned").length;
  if (count === 0) return null;
  const paths = count === 1 ? "1 path" : `${count} paths`;
  const remedy =
    key === null
      ? `set uploads.signing-key to a secret key whose public key is in trusted-public-keys there`
      : `add ${key.publicKey} to trusted-public-keys there`;
  return (
    `${name} does not take ${paths}, for want of a signature that it trusts. In its nix.conf, make the login one of ` +
    `trusted-users, or ${remedy}. Then: nix-tether queue retry`
  );
}
