import { describe, expect, test } from "vitest";
import { knownHostsNames, parseFoundKeys } from "../../src/link/known-hosts.js";

describe("parseFoundKeys", () => {
  test("reads what ssh-keygen -F prints: plain, hashed, marked, with comments", () => {
    const output = [
      "# Host host1 found: line 1 ",
      "host1,host2 ssh-ed25519 AAAAC3Nz a comment",
      "# Host host1 found: line 2 REVOKED",
      "@revoked host1 ssh-rsa AAAAB3Nz",
      "# Host host1 found: line 4 CA",
      "@cert-authority *.local ecdsa-sha2-nistp256 AAAAE2Vj",
      "# Host host1 found: line 5 ",
      "|1|9yU72+K3pp2bhLxhnF0E7exf6gc=|4NX9rtU51wk+0QUwEuHsmNf6GOA= ssh-ed25519 AAAAC3Nx",
      "",
    ].join("\n");
    expect(parseFoundKeys(output, true)).toEqual([
      { marker: "key", type: "ssh-ed25519", blob: "AAAAC3Nz", exact: true },
      { marker: "revoked", type: "ssh-rsa", blob: "AAAAB3Nz", exact: true },
      { marker: "authority", type: "ecdsa-sha2-nistp256", blob: "AAAAE2Vj", exact: true },
      { marker: "key", type: "ssh-ed25519", blob: "AAAAC3Nx", exact: true },
    ]);
  });

  test("a marker from the future is not taken for a plain key", () => {
    expect(parseFoundKeys("@something host1 ssh-ed25519 AAAA\n", true)).toEqual([]);
  });

  test("nothing found, or a line cut short", () => {
    expect(parseFoundKeys("", true)).toEqual([]);
    expect(parseFoundKeys("host1 ssh-ed25519\n", false)).toEqual([]);
  });
});

test.each([
  ["pi.local", null, 22, { exact: "pi.local", portless: null }],
  ["pi.local", null, 2222, { exact: "[pi.local]:2222", portless: "pi.local" }],
  ["pi.local", "zed", 2222, { exact: "zed", portless: null }],
  ["fe80::1%Eth0", null, 22, { exact: "fe80::1%eth0", portless: null }],
  ["2001:db8::1", null, 2222, { exact: "[2001:db8::1]:2222", portless: "2001:db8::1" }],
])("names for %s, alias %s, port %i", (hostname, hostKeyAlias, port, expected) => {
  expect(knownHostsNames({ hostname, hostKeyAlias }, port)).toEqual(expected);
});
