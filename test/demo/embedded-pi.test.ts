// The demo's keys: every pair must be one that ssh accepts.

import ssh2 from "ssh2";
import { expect, test } from "vitest";
import { newKeyPair } from "../../src/demo/embedded-pi.js";

test("no malformed key among many", () => {
  // One in 256 of those that ssh2 makes is malformed: 1500 hold one for all but 3 in 1000 runs.
  for (let count = 0; count < 1500; count += 1) {
    const pair = newKeyPair();
    const [open, secret] = [ssh2.utils.parseKey(pair.publicKey), ssh2.utils.parseKey(pair.privateKey)];
    if (open instanceof Error || secret instanceof Error) expect.fail(pair.publicKey);
    expect(secret.getPublicSSH().equals(open.getPublicSSH())).toBe(true);
  }
});
