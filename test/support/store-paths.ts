// Store paths for tests that need no store, and what the post-build hook leaves behind for them.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { encodeNix32 } from "../../src/protocol/nix32.js";

/** `/nix/store/<hash>-<name>`, another hash for another name. */
export function storePath(name: string): string {
  const digest = createHash("sha256").update(name).digest().subarray(0, 20);
  return `/nix/store/${encodeNix32(digest)}-${name}`;
}

/** The text of a file of the hook's. */
export function incomingText(outputs: readonly string[], drv = ""): string {
  return `nix-tether-incoming 1\ndrv ${drv}\n${outputs.map((one) => `out ${one}\n`).join("")}end\n`;
}

let serial = 0;

/** Does to a spool what the hook does. */
export function leaveIncoming(spool: string, outputs: readonly string[], drv = ""): void {
  serial += 1;
  writeFileSync(path.join(spool, "incoming", `${process.pid}-${serial}`), incomingText(outputs, drv));
}
