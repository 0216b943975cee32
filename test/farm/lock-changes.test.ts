import { expect, test } from "vitest";
import { lockChanges, lockChangesText } from "../../src/farm/lock-changes.js";

interface Node {
  inputs?: Record<string, string | string[]>;
  locked?: Record<string, unknown>;
}

const lockFile = (nodes: Record<string, Node>): string =>
  JSON.stringify({ nodes: { ...nodes }, root: "root", version: 7 });

const nixpkgs = (rev: string, day: string): Node => ({
  locked: {
    type: "github",
    owner: "NixOS",
    repo: "nixpkgs",
    rev,
    lastModified: Date.parse(day) / 1000,
    narHash: "sha256-x",
  },
});

const before = lockFile({
  root: { inputs: { nixpkgs: "nixpkgs", home: "home", old: "old" } },
  nixpkgs: nixpkgs("aaa", "2026-11-01"),
  home: { inputs: { nixpkgs: ["nixpkgs"] }, locked: { type: "git", url: "https://x/home", rev: "h1" } },
  old: { locked: { type: "path", path: "/old", narHash: "sha256-o" } },
});

const after = lockFile({
  root: { inputs: { nixpkgs: "nixpkgs", home: "home", fonts: "fonts" } },
  nixpkgs: nixpkgs("bbb", "2026-11-21"),
  home: { inputs: { nixpkgs: "nixpkgs_2" }, locked: { type: "git", url: "https://x/home", rev: "h1" } },
  nixpkgs_2: nixpkgs("ccc", "2026-11-20"),
  fonts: { locked: { type: "tarball", url: "https://x/fonts.tar", narHash: "sha256-f" } },
});

test("inputs that are new, gone, or locked to something else, those of inputs too", () => {
  expect(lockChanges(before, after)).toEqual([
    {
      input: "fonts",
      from: null,
      to: { url: "https://x/fonts.tar?narHash=sha256-f", rev: null, date: null },
    },
    {
      input: "home/nixpkgs",
      from: { url: "follows nixpkgs", rev: null, date: null },
      to: { url: "github:NixOS/nixpkgs/ccc", rev: "ccc", date: Date.parse("2026-11-20") },
    },
    {
      input: "nixpkgs",
      from: { url: "github:NixOS/nixpkgs/aaa", rev: "aaa", date: Date.parse("2026-11-01") },
      to: { url: "github:NixOS/nixpkgs/bbb", rev: "bbb", date: Date.parse("2026-11-21") },
    },
    { input: "old", from: { url: "path:/old?narHash=sha256-o", rev: null, date: null }, to: null },
  ]);
});

test("the commit's message says it as Nix does", () => {
  expect(lockChangesText(lockChanges(before, after))).toBe(`\
• Added input 'fonts':
    'https://x/fonts.tar?narHash=sha256-f'
• Updated input 'home/nixpkgs':
    'follows nixpkgs'
  → 'github:NixOS/nixpkgs/ccc' (2026-11-20)
• Updated input 'nixpkgs':
    'github:NixOS/nixpkgs/aaa' (2026-11-01)
  → 'github:NixOS/nixpkgs/bbb' (2026-11-21)
• Removed input 'old'`);
});

test("the same file has no changes, and none at all counts as empty", () => {
  expect(lockChanges(before, before)).toEqual([]);
  expect(lockChanges(null, before).map(({ input }) => input)).toEqual([
    "home",
    "home/nixpkgs",
    "nixpkgs",
    "old",
  ]);
});

test.each(["", "[]", "null", "{", '{"nodes":{}}'])("%j has no inputs", (text) => {
  expect(lockChanges(text, text)).toEqual([]);
});

test("one that goes in circles comes to an end", () => {
  const circle = lockFile({ root: { inputs: { a: "a" } }, a: { inputs: { a: "a" }, locked: {} } });
  expect(lockChanges(null, circle).length).toBeLessThan(20);
});
