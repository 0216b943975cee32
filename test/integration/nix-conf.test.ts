// Holds our reading of nix.conf against that of the real nix: whatever we call included, nix must list.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { findInclude } from "../../src/daemon/nix-conf.js";
import { cacheUrl, createOverrideFile } from "../../src/daemon/override-file.js";
import { silentLog } from "../support/silent-log.js";
import { temporaryFolder } from "../support/temp-folder.js";

const url = cacheUrl({ port: 37515, name: "pi", generation: 3, priority: 30, trusted: true });

interface Case {
  readonly user?: string;
  readonly system?: string;
  readonly env?: Record<string, string>;
  readonly kind: "included" | "missing" | "not-last";
}

test.each<Case>([
  { user: "!include nix-tether.conf", kind: "included" },
  { user: "include\tnix-tether.conf # and so on\n", kind: "included" },
  { user: "substituters = http://a\n!include nix-tether.conf", kind: "included" },
  { user: "!include nix-tether.conf", system: "substituters = http://a", kind: "included" },
  { user: "!include other.conf\n", kind: "missing" },
  { user: "# !include nix-tether.conf", kind: "missing" },
  { user: "!include nix-tether.conf\nsubstituters = http://a", kind: "not-last" },
  { user: "!include nix-tether.conf\nbinary-caches = http://a", kind: "not-last" },
  { user: "!include nix-tether.conf", env: { NIX_CONFIG: "substituters = http://a" }, kind: "not-last" },
  { user: "!include nix-tether.conf", env: { NIX_USER_CONF_FILES: "" }, kind: "missing" },
  {
    user: "!include nix-tether.conf",
    system: "substituters = http://a",
    env: { NIX_USER_CONF_FILES: "ROOT/x/nix/nix.conf:ROOT/c/nix/nix.conf" },
    kind: "not-last",
  },
  {
    user: "!include nix-tether.conf",
    system: "substituters = http://a",
    env: { NIX_USER_CONF_FILES: "ROOT/c/nix/nix.conf:ROOT/x/nix/nix.conf" },
    kind: "included",
  },
])("%j", async ({ user = "", system = "", env: more = {}, kind }) => {
  const root = temporaryFolder();
  mkdirSync(path.join(root, "c/nix"), { recursive: true });
  mkdirSync(path.join(root, "x/nix"), { recursive: true });
  writeFileSync(path.join(root, "c/nix/nix.conf"), user);
  writeFileSync(path.join(root, "x/nix/nix.conf"), system);
  const overrideFile = path.join(root, "c/nix/nix-tether.conf");
  await createOverrideFile({ path: overrideFile, log: silentLog }).write([
    { name: "pi", url, publicKeys: ["pi-1:AAAA"] },
  ]);
  const env: NodeJS.ProcessEnv = {
    PATH: process.env["PATH"],
    HOME: root,
    XDG_CONFIG_HOME: path.join(root, "c"),
    XDG_CONFIG_DIRS: path.join(root, "x"),
  };
  for (const [name, value] of Object.entries(more)) env[name] = value.replaceAll("ROOT", root);

  expect(findInclude({ overrideFile }, env).kind).toBe(kind);
  const config = JSON.parse(
    execFileSync("nix", ["--extra-experimental-features", "nix-command", "show-config", "--json"], {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  ) as Record<string, { value: string[] }>;
  expect(config["substituters"]?.value.includes(url)).toBe(kind === "included");
  expect(config["trusted-public-keys"]?.value.includes("pi-1:AAAA")).toBe(kind !== "missing");
});
