import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { createDecompressor, type Digest } from "../../src/static/decompress.js";
import { temporaryFolder } from "../support/temp-folder.js";

const nar = Buffer.concat([randomBytes(300_000), Buffer.alloc(300_000)]);
const digest: Digest = { sha256: createHash("sha256").update(nar).digest("hex"), bytes: nar.length };

const compress: Record<string, (bytes: Buffer) => Buffer> = {
  none: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  br: (bytes) => brotliCompressSync(bytes),
  xz: (input) => execFileSync("xz", ["-0", "-c"], { input }),
  zstd: (input) => execFileSync("zstd", ["-1", "-cq"], { input }),
};

async function read(
  compression: string,
  bytes: Buffer,
  { most = nar.length, env = process.env }: { most?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Digest | string | null> {
  const decompressor = createDecompressor(compression, most, env);
  if (decompressor === null) return null;
  for (let at = 0; at < bytes.length; at += 65_536) await decompressor.write(bytes.subarray(at, at + 65_536));
  const result = await decompressor.end();
  decompressor.stop();
  return result;
}

test.each(Object.keys(compress))("%s", async (compression) => {
  const bytes = compress[compression]?.(nar) ?? nar;
  expect(await read(compression, bytes)).toEqual(digest);
  expect(await read(compression, bytes, { most: 1000 })).toMatchObject({
    bytes: expect.toSatisfy((length: number) => length > 1000) as number,
  });
  if (compression === "none") return;
  expect(await read(compression, bytes.subarray(0, 100_000))).toMatch(/can not be decompressed/);
  expect(await read(compression, randomBytes(500_000))).toMatch(/can not be decompressed/);
});

test("what nobody knows, and what there is no program for, is not told", async () => {
  expect(await read("lz77", nar)).toBeNull();
  expect(await read("xz", nar, { env: { PATH: "/nowhere" } })).toBeNull();
});

test("a program that is ended by somebody else says nothing of the file", async () => {
  const folder = temporaryFolder();
  await writeFile(path.join(folder, "xz"), "#!/bin/sh\nkill -KILL $$\n", { mode: 0o755 });
  expect(await read("xz", nar, { env: { PATH: folder } })).toBeNull();
});
