import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { isLoopbackHost, narUrl, parseRangeStart, parseRoute } from "../../src/gateway/routes.js";
import type { OfferedPath } from "../../src/protocol/offered-path.js";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";
const narHash = "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s";
const info: OfferedPath = {
  path: `/nix/store/${hash}-hello-2.12`,
  narHash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  narSize: 226_504,
  references: [],
  deriver: null,
  signatures: [],
  ca: null,
};

describe("parseRoute", () => {
  for (const [prefix, generation] of [
    ["/pi", null],
    ["/pi/0", 0],
    ["/pi/9", 9],
    ["/pi/10", 10],
    ["/pi/15", 15],
  ] as const) {
    test(`knows the files below ${prefix}`, () => {
      for (const method of ["GET", "HEAD"]) {
        expect(parseRoute(method, `${prefix}/nix-cache-info`)).toEqual({ kind: "cache-info", cache: "pi" });
        const narinfo = { kind: "narinfo", cache: "pi", generation, hashPart: hash };
        expect(parseRoute(method, `${prefix}/${hash}.narinfo`)).toEqual(narinfo);
        const nar = `nar/${hash}-${narHash}.nar`;
        expect(narUrl(hash, info)).toBe(nar);
        expect(parseRoute(method, `${prefix}/${nar}`)).toEqual({
          kind: "nar",
          cache: "pi",
          hashPart: hash,
          nar,
        });
      }
    });
  }

  test.each([
    ["none", ""],
    ["xz", ".xz"],
    ["zstd", ".zst"],
  ])("a NAR's name tells that it is compressed by %s", (compression, suffix) => {
    const file = { compression, hash: null, size: 4_242, location: "nar/x" };
    const nar = narUrl(hash, { ...info, file });
    expect(nar).toBe(`nar/${hash}-${narHash}.nar${suffix}`);
    expect(parseRoute("GET", `/pi/${nar}`)).toEqual({ kind: "nar", cache: "pi", hashPart: hash, nar });
  });

  test("a cache may have a generation's name", () => {
    expect(parseRoute("GET", "/3/nix-cache-info")).toEqual({ kind: "cache-info", cache: "3" });
    expect(parseRoute("GET", "/3/4/nix-cache-info")).toEqual({ kind: "cache-info", cache: "3" });
  });

  test.each([
    ["PUT", "/pi/nix-cache-info"],
    ["POST", `/pi/${hash}.narinfo`],
    ["GET", undefined],
    ["GET", ""],
    ["GET", "/"],
    ["GET", "*"],
    ["GET", "/pi"],
    ["GET", "/pi/"],
    ["GET", "/pi/3"],
    ["GET", "/nix-cache-info"],
    ["GET", "/pi/16/nix-cache-info"],
    ["GET", "/pi/03/nix-cache-info"],
    ["GET", "/pi/-1/nix-cache-info"],
    ["GET", "/pi/3/4/nix-cache-info"],
    ["GET", "//nix-cache-info"],
    ["GET", "/pi//nix-cache-info"],
    ["GET", "/pi/nix-cache-info?x=1"],
    ["GET", "/pi/nix-cache-info/"],
    ["GET", "http://127.0.0.1/pi/nix-cache-info"],
    ["GET", `/pi/${hash.slice(1)}.narinfo`],
    ["GET", `/pi/${hash.replace("z", "e")}.narinfo`],
    ["GET", `/pi/${hash.toUpperCase()}.narinfo`],
    ["GET", `/pi/${hash}.ls`],
    ["GET", `/pi/nar/${hash}.nar`],
    ["GET", `/pi/nar/${hash}-${narHash.slice(1)}.nar`],
    ["GET", `/pi/nar/${hash}-${narHash}.nar.`],
    ["GET", `/pi/nar/${hash}-${narHash}.nar.xz/x`],
    ["GET", "/pi/log/abc-hello.drv"],
    ["GET", "/pi/../pi/nix-cache-info"],
    ["GET", `/${"p".repeat(33)}/nix-cache-info`],
    ["GET", `/pi/${"n".repeat(10_000)}`],
  ])("%s %s is nothing", (method, url) => {
    expect(parseRoute(method, url)).toEqual({ kind: "none" });
  });

  test("never throws", () => {
    fc.assert(fc.property(fc.string(), (url) => void parseRoute("GET", `/${url}`)));
  });
});

test.each([
  [undefined, null],
  ["bytes=0-", 0],
  ["bytes=37588904-", 37_588_904],
  ["bytes=0-99", null],
  ["bytes=-5", null],
  ["bytes=1-,5-", null],
  ["lines=1-", null],
  ["bytes= 1-", null],
])("Range %s begins at %s", (range, from) => {
  expect(parseRangeStart(range)).toBe(from);
});

test.each([
  ["127.0.0.1:37515", true],
  ["127.0.0.1", true],
  ["localhost:80", true],
  ["LOCALHOST", true],
  [undefined, false],
  ["", false],
  ["evil.example:37515", false],
  ["127.0.0.1.evil.example", false],
  ["127.0.0.1:37515@evil.example", false],
  ["localhost:", false],
])("Host %s: %s", (host, expected) => {
  expect(isLoopbackHost(host)).toBe(expected);
});
