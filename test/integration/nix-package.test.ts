// The Nix package's dependencies, fetched for real by the commands of nix/node-modules.nix: what the lock file gives has the
// hash that is written there.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nix-tether-package-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function nix(command: string, ...args: string[]): string {
  const env = { ...process.env, HOME: folder, NIX_STATE_DIR: folder, NIX_REMOTE: "dummy://" };
  return execFileSync(command, args, { env, encoding: "utf8" });
}

test("what npm fetches has the hash in nix/node-modules.nix", () => {
  const place = join(root, "test/nix");
  const value = nix("nix-instantiate", "--eval", "--strict", "--json", place, "-A", "nodeModules");
  const { buildPhase, installPhase, outputHash } = JSON.parse(value) as Record<string, string>;
  for (const file of ["package.json", "package-lock.json"])
    copyFileSync(join(root, file), join(folder, file));
  const out = join(folder, "out");
  execFileSync("bash", ["-euc", `${buildPhase}\n${installPhase}`], {
    cwd: folder,
    env: {
      ...process.env,
      out,
      TMPDIR: folder,
      SSL_CERT_FILE: "/etc/ssl/certs/ca-certificates.crt",
      // What was fetched for this clone already is not fetched again.
      npm_config_cache: execFileSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).trim(),
      npm_config_prefer_offline: "true",
      npm_config_loglevel: "error",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const hash = nix("nix-hash", "--type", "sha256", out).trim();
  expect(`sha256-${Buffer.from(hash, "hex").toString("base64")}`).toBe(outputHash);
});
