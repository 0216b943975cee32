import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nix32Digits } from "../../src/protocol/nix32.js";
import { makePathIndex, type PathIndex } from "../../src/upstream/path-index.js";
import { inventPath } from "../support/nix-export.js";

const hashPart = fc.string({
  unit: fc.constantFrom(...nix32Digits),
  minLength: 32,
  maxLength: 32,
});

function indexOf(hashParts: readonly string[]): PathIndex {
  const maker = makePathIndex(hashParts.length);
  for (const one of hashParts) maker.add(Buffer.from(`/nix/store/${one}-x`));
  return maker.finish();
}

describe("an index of paths", () => {
  it("has every path that was added, in whatever order", () => {
    const property = fc.property(fc.array(hashPart), (hashParts) => {
      const index = indexOf(hashParts);
      expect(hashParts.filter((one) => !index.mayHave(one))).toEqual([]);
    });
    fc.assert(property);
  });

  it("lacks next to all others", () => {
    const hash = (name: string, i: number): string => inventPath(`${name}-${i}`, "").slice(11, 43);
    const index = indexOf(Array.from({ length: 20_000 }, (_, i) => hash("there", i)));
    const others = Array.from({ length: 20_000 }, (_, i) => hash("elsewhere", i));
    expect(others.filter((one) => index.mayHave(one)).length).toBeLessThan(10);
    expect(indexOf([]).mayHave(hash("there", 0))).toBe(false);
  });
});
