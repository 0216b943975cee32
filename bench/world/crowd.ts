// A store of many paths that nobody asks for: rows of its database with no files behind them, for these would take hours.

import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { inventPath } from "../../test/support/nix-export.js";
import type { PrivateNix } from "../../test/support/private-nix.js";

/**
 * Makes `count` paths valid, with up to three references each, beside those that are there; resolves to them. 200,000 take some 15
 * seconds. They have neither signatures nor files: what fills, signs or copies the whole store comes before.
 */
export async function addCrowd(nix: PrivateNix, count: number): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, at) => inventPath(`crowd-${at}`, "bench"));
  const file = join(nix.dir, "crowd");
  await pipeline(Readable.from(registrationsOf(paths)), createWriteStream(file));
  await nix.run(`nix-store --load-db <${file}`);
  await rm(file);
  return paths;
}

/** For `nix-store --load-db`: the path, its NAR's hash and size, its deriver, and its references with their number. */
function* registrationsOf(paths: readonly string[]): Generator<string> {
  for (const [at, path] of paths.entries()) {
    const references = [2, 3, 5].flatMap((part) => (at >= part ? (paths[Math.floor(at / part)] ?? []) : []));
    const own = [...new Set(references)].filter((reference) => reference !== path);
    yield [path, "0".repeat(64), "4096", "", String(own.length), ...own, ""].join("\n");
  }
}
