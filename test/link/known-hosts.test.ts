import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { findKnownKeys, knownHostsNames, parseFoundKeys } from "../../src/link/known-hosts.js";
import { interpretSshConfig } from "../../src/link/ssh-config.js";

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

test("ssh-keygen is run for files that exist, one run after the other", async () => {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-known-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const script = `#!/bin/sh
echo "begin $2 $4" >>${dir}/calls
sleep 0.05
echo "pi ssh-ed25519 AAAA"
echo end >>${dir}/calls
`;
  await writeFile(join(dir, "ssh-keygen"), script, { mode: 0o755 });
  const files = ["one", "missing", "two"].map((name) => join(dir, name));
  for (const name of ["one", "two"]) await writeFile(join(dir, name), "");
  const env = { PATH: `${dir}:${process.env["PATH"]}`, HOME: dir };
  const settings = interpretSshConfig(null, { host: "pi.local", knownHosts: files }, env);
  const deps = { env, signal: new AbortController().signal };
  expect(await findKnownKeys(settings, 2222, deps)).toMatchObject([
    { exact: true },
    { exact: false },
    { exact: true },
    { exact: false },
  ]);
  const runs = ["one", "two"].flatMap((name) =>
    ["[pi.local]:2222", "pi.local"].flatMap((host) => [`begin ${host} ${join(dir, name)}`, "end"]),
  );
  expect((await readFile(join(dir, "calls"), "utf8")).trim().split("\n")).toEqual(runs);
});

test("a search that fails is no search that finds nothing", async () => {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-known-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const file = join(dir, "known_hosts");
  await writeFile(file, "");
  await writeFile(join(dir, "ssh-keygen"), "#!/bin/sh\necho broken library >&2\nexit 127\n", { mode: 0o755 });
  const env = { PATH: `${dir}:${process.env["PATH"]}`, HOME: dir };
  const settings = interpretSshConfig(null, { host: "pi.local", knownHosts: [file] }, env);
  const deps = { env, signal: new AbortController().signal };
  await expect(findKnownKeys(settings, 22, deps)).rejects.toMatchObject({
    code: "known-hosts-unreadable",
    message: `ssh-keygen could not search ${file}: broken library`,
  });
});
