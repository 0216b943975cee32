// `fsck --full` and signatures: whose count, and how many words are made of it.

import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import type { CliContext } from "../../src/cli/context.js";
import { fsck } from "../../src/cli/fsck.js";
import { parseNarinfo } from "../../src/protocol/narinfo-file.js";
import { signedText } from "../../src/protocol/signature.js";
import { hashPartFor, writeCache } from "../support/synthetic-cache.js";
import { temporaryFolder } from "../support/temp-folder.js";

const names = Array.from({ length: 30 }, (_, n) => `path-${n}`);

/** A cache that is signed, and a configuration that has the key. */
async function signedCache(): Promise<{ env: NodeJS.ProcessEnv; config: string }> {
  const base = temporaryFolder();
  const folder = path.join(base, "cache");
  await writeCache(
    folder,
    names.map((name) => ({ name, narinfoDays: 1, narDays: 1 })),
  );
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  for (const name of names) await signNarinfo(path.join(folder, `${hashPartFor(name)}.narinfo`), privateKey);
  const raw = [privateKey.export({ format: "jwk" }).d, publicKey.export({ format: "jwk" }).x];
  const secret = Buffer.concat(raw.map((part) => Buffer.from(part ?? "", "base64url"))).toString("base64");
  await writeFile(path.join(base, "key"), `farm-1:${secret}\n`);
  const config = path.join(base, "config.toml");
  await writeFile(
    config,
    `[static.own]\npath = "${folder}"\nsigning-key = "${base}/key"\n[static.other]\npath = "${folder}"\n`,
  );
  // A Nix that trusts nobody.
  await mkdir(path.join(base, "bin"));
  await writeFile(path.join(base, "bin/nix"), "#!/bin/sh\necho '{}'\n", { mode: 0o755 });
  return { env: { PATH: `${base}/bin:${process.env["PATH"]}`, HOME: base }, config };
}

async function signNarinfo(file: string, key: KeyObject): Promise<void> {
  const text = await readFile(file, "utf8");
  const signature = sign(null, Buffer.from(signedText(parseNarinfo(text).info)), key).toString("base64");
  await writeFile(file, `${text}Sig: farm-1:${signature}\n`);
}

async function check(env: NodeJS.ProcessEnv, config: string, target: string): Promise<[number, string]> {
  let out = "";
  const stream = { write: (text: string) => (out += text) };
  const { signal } = new AbortController();
  const context: CliContext = {
    env,
    stdout: stream,
    stderr: stream,
    now: Date.now,
    interrupted: () => signal,
  };
  const code = await fsck(context, {
    target,
    config,
    repair: false,
    full: true,
    publicKeys: [],
    json: false,
  });
  return [code, out];
}

test("the key that a cache is filled with counts, whether or not Nix trusts it here; of many alike some are shown", async () => {
  const { env, config } = await signedCache();
  const [own, words] = await check(env, config, "own");
  expect(words).toMatch(/30 paths, .* nothing is wrong\n$/);
  expect(own).toBe(0);
  const [other, more] = await check(env, config, "other");
  expect(other).toBe(1);
  expect(more.match(/its signature \(farm-1\) is by none of the known keys/g)).toHaveLength(20);
  expect(more).toContain("… and 10 more like these; --json has them all\n");
  expect(more).toMatch(/30 problems\n$/);
});
