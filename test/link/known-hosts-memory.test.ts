import { mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rememberKnownKeys } from "../../src/link/known-hosts-memory.js";
import type { FindKnownKeys } from "../../src/link/known-hosts.js";
import { interpretSshConfig, type SshSettings } from "../../src/link/ssh-config.js";

let dir: string;
let file: string;
let searches: number;
let settings: SshSettings;
/** As if the files had been left alone for an hour. */
const later = (): number => Date.now() + 3_600_000;
const deps = { env: {}, signal: new AbortController().signal };
const find: FindKnownKeys = async () => {
  searches += 1;
  return [{ marker: "key", type: "ssh-ed25519", blob: String(searches), exact: true }];
};

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "nix-tether-known-"));
  file = join(dir, "known_hosts");
  searches = 0;
  const config = { host: "pi.local", knownHosts: [file, join(dir, "other")] };
  settings = interpretSshConfig(null, config, { HOME: dir });
  await writeFile(file, "pi.local ssh-ed25519 AAAA\n");
});
afterEach(() => rm(dir, { recursive: true }));

test("searches once while the files stay as they are", async () => {
  const search = rememberKnownKeys(find, later);
  const [first, second] = [await search(settings, 22, deps), await search(settings, 22, deps)];
  expect(searches).toBe(1);
  expect(second).toEqual(first);
});

test.each([
  ["is written to", () => writeFile(file, "pi.local ssh-ed25519 BBBB\npi.local ssh-rsa CCCC\n")],
  [
    "is replaced by one of the same size",
    async () => {
      await writeFile(`${file}.new`, "pi.local ssh-ed25519 BBBB\n");
      await rename(`${file}.new`, file);
    },
  ],
  [
    "is changed and its time set back",
    async () => {
      await writeFile(file, "pi.local ssh-ed25519 BBBB\n");
      await utimes(file, 0, 0);
    },
  ],
  ["goes", () => rm(file)],
  ["appears", () => writeFile(join(dir, "other"), "")],
])("searches again when a file %s", async (_how, change) => {
  const search = rememberKnownKeys(find, later);
  await utimes(file, 0, 0);
  await search(settings, 22, deps);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await change();
  await search(settings, 22, deps);
  expect(searches).toBe(2);
});

test("searches again for another port or other names", async () => {
  const search = rememberKnownKeys(find, later);
  await search(settings, 22, deps);
  await search(settings, 2222, deps);
  await search({ ...settings, knownAs: ["raspberry"] }, 2222, deps);
  await search({ ...settings, revokedHostKeys: file }, 2222, deps);
  expect(searches).toBe(4);
});

test("remembers nothing of a file that has just changed, nor what failed", async () => {
  const fresh = rememberKnownKeys(find);
  await fresh(settings, 22, deps);
  await fresh(settings, 22, deps);
  expect(searches).toBe(2);
  let fails = true;
  const moody = rememberKnownKeys(async (...args) => {
    if (fails) throw new Error("no ssh-keygen");
    return find(...args);
  }, later);
  await expect(moody(settings, 22, deps)).rejects.toThrow("no ssh-keygen");
  fails = false;
  expect(await moody(settings, 22, deps)).toHaveLength(1);
});
