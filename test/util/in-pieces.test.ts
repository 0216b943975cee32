import { expect, test } from "vitest";
import { inPieces } from "../../src/util/in-pieces.js";

test("a long list comes in pieces", () => {
  expect(inPieces(["a", "b", "c"], 2)).toEqual([["a", "b"], ["c"]]);
  expect(inPieces([], 2)).toEqual([]);
});
