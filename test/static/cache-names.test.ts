import { expect, test } from "vitest";
import {
  cacheInfoName,
  hashPartOf,
  isTemporaryName,
  narFolder,
  narNameOf,
  narinfoName,
  randomTemporaryName,
} from "../../src/static/cache-names.js";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";

test("a narinfo's name and back", () => {
  expect(narinfoName(hash)).toBe(`${hash}.narinfo`);
  expect(hashPartOf(`${hash}.narinfo`)).toBe(hash);
  expect([cacheInfoName, `${hash}.ls`, "x.narinfo", `../${hash}.narinfo`].map(hashPartOf)).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

test("only a file in the folder for NARs is one", () => {
  const name = `${narFolder}/1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s.nar.xz`;
  expect(narNameOf(name)).toBe(name);
  for (const url of ["nar/../x", "nar/.x", "/nar/x", "http://x/nar/x", "nar/", "nar/x/y", "x.nar"])
    expect(narNameOf(url)).toBeNull();
});

test("what is unfinished is told by its name", () => {
  expect(isTemporaryName(randomTemporaryName())).toBe(true);
  expect(isTemporaryName(cacheInfoName)).toBe(false);
});
