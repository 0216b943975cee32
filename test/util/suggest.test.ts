import { expect, test } from "vitest";
import { nearest } from "../../src/util/suggest.js";

const words = ["identity-file", "identity-agent", "host", "port", "public-keys", "status", "pause"];

test.each([
  ["hots", "host"],
  ["identityFile", "identity-file"],
  ["identity_agent", "identity-agent"],
  ["public-key", "public-keys"],
  ["PORT", "port"],
  ["sattus", "status"],
  ["puase", "pause"],
  ["xyz", undefined],
  ["", undefined],
  ["x".repeat(100_000), undefined],
])("%j is taken for %j", (word, meant) => {
  expect(nearest(word, words)).toBe(meant);
});
