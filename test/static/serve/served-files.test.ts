import { expect, test } from "vitest";
import { servedFile } from "../../../src/static/serve/served-files.js";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";

test.each([
  ["/nix-cache-info", "text/x-nix-cache-info"],
  [`/${hash}.narinfo`, "text/x-nix-narinfo"],
  [`/${hash}.narinfo?x=1`, "text/x-nix-narinfo"],
  [`/${hash}.ls`, "application/json"],
  ["/nar/1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.xz", "application/x-nix-nar"],
  ["/nar/x.nar", "application/x-nix-nar"],
])("%s is of a cache", (url, type) => {
  expect(servedFile(url)?.type).toBe(type);
});

test.each([
  undefined,
  "",
  "/",
  "/nar",
  "/nar/",
  "/nix-cache-info/",
  "//nix-cache-info",
  "/.nix-tether-gc",
  "/.tmp-0123456789abcdef",
  "/nar/.tmp-x.nar.xz",
  "/nar/x.nar.xz.tmp.12.3",
  "/nar/../secret-key",
  "/nar/..%2fsecret-key",
  "/nar/%2e%2e/secret.nar",
  "/../etc/passwd",
  "/secret-key",
  "/nar/secret-key",
  "/nar/x/y.nar",
  "/e0000000000000000000000000000000.narinfo",
  "http://other/nix-cache-info",
  `/${"x".repeat(600)}.narinfo`,
  "/nar/x.nar\0",
])("%j is none", (url) => {
  expect(servedFile(url)).toBeNull();
});
