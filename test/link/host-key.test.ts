import { newKeyPair } from "../../src/demo/embedded-pi.js";
import { describe, expect, test } from "vitest";
import {
  fingerprint,
  hostKeyAlgorithms,
  hostKeyError,
  judgeHostKey,
  type HostKeySubject,
} from "../../src/link/host-key.js";
import type { KnownKey } from "../../src/link/known-hosts.js";

// Fixed keys; the fingerprint of the first is what `ssh-keygen -l` prints for it.
const ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIFoMvbqaXMPivt6qbaYWGakAbwpvM6rV+ci9lQHF0p71";
const OTHER = newKeyPair().publicKey.split(" ")[1] ?? "";
const key = Buffer.from(ED25519, "base64");

function entry(blob: string, more: Partial<KnownKey> = {}): KnownKey {
  return { marker: "key", type: "ssh-ed25519", blob, exact: true, ...more };
}

describe("judgeHostKey", () => {
  test.each<[string, KnownKey[], string]>([
    ["nothing known", [], "unknown"],
    ["the same key", [entry(OTHER), entry(ED25519)], "known"],
    ["another key of the same type", [entry(OTHER)], "changed"],
    ["a key of another type only", [entry("AAAAB3Nz", { type: "ssh-rsa" })], "changed"],
    ["revoked", [entry(ED25519, { marker: "revoked" })], "revoked"],
    ["revoked and also listed", [entry(ED25519), entry(ED25519, { marker: "revoked" })], "revoked"],
    ["another key revoked", [entry(ED25519), entry(OTHER, { marker: "revoked" })], "known"],
    ["a certificate authority with this very key", [entry(ED25519, { marker: "authority" })], "unknown"],
    ["the same key without the port", [entry(ED25519, { exact: false })], "known"],
    ["another key without the port", [entry(OTHER, { exact: false })], "unknown"],
    ["the port's own key contradicts", [entry(OTHER), entry("AAAA", { exact: false })], "changed"],
  ])("%s", (_name, known, verdict) => {
    expect(judgeHostKey(known, key)).toBe(verdict);
  });
});

describe("hostKeyAlgorithms", () => {
  test("asks for the known types first and for RSA only with SHA-2", () => {
    const algorithms = hostKeyAlgorithms([
      entry("x", { type: "ssh-rsa" }),
      entry("y", { type: "ssh-ed25519", marker: "revoked" }),
      entry("z", { type: "ssh-ed25519", marker: "authority" }),
    ]);
    expect(algorithms.slice(0, 3)).toEqual(["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    expect(algorithms).not.toContain("ssh-rsa");
  });

  test("keeps its own order among several known ones, and all when none is known", () => {
    const known = [entry("x", { type: "ecdsa-sha2-nistp256" }), entry("y")];
    expect(hostKeyAlgorithms(known).slice(0, 2)).toEqual(["ssh-ed25519", "ecdsa-sha2-nistp256"]);
    expect(hostKeyAlgorithms([])).toHaveLength(6);
  });

  test("ignores types that it does not know", () => {
    expect(hostKeyAlgorithms([entry("x", { type: "sk-ssh-ed25519@openssh.com" })])).toHaveLength(6);
  });
});

describe("hostKeyError", () => {
  const subject: HostKeySubject = {
    name: "[pi.local]:2222",
    address: "192.0.2.7",
    trustCommand: "nix-tether trust pi",
    files: ["/home/ann/.ssh/known_hosts"],
  };

  test("names the key, the place and the command", () => {
    const error = hostKeyError("unknown", key, [], subject);
    expect(error.code).toBe("host-key-unknown");
    expect(error.message).toContain("ED25519 SHA256:");
    expect(error.message).toContain(fingerprint(key));
    expect(error.message).toContain("[pi.local]:2222");
    expect(error.message).toContain("192.0.2.7");
    expect(error.remedy).toContain("nix-tether trust pi");
  });

  test("says that a certificate authority does not help", () => {
    const error = hostKeyError("unknown", key, [entry("x", { marker: "authority" })], subject);
    expect(error.message).toContain("certificate authority");
  });

  test("says how to replace a changed key, and never how to trust a revoked one", () => {
    const changed = hostKeyError("changed", key, [entry(OTHER)], subject);
    expect(changed.code).toBe("host-key-changed");
    expect(changed.remedy).toContain("ssh-keygen -R '[pi.local]:2222' -f /home/ann/.ssh/known_hosts");
    const revoked = hostKeyError("revoked", key, [], subject);
    expect(revoked.code).toBe("host-key-revoked");
    expect(revoked.remedy).not.toContain("ssh-keygen");
  });

  test("a fingerprint is what ssh-keygen prints", () => {
    expect(fingerprint(key)).toBe("SHA256:oZ6sePh/XlxGZLAn8uBePS2Q3tGlllD6jvqpM97sDQY");
  });
});
