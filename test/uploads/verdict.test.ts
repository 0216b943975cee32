import { expect, test } from "vitest";
import type { LocalInfo } from "../../src/nix/path-infos.js";
import { verdict } from "../../src/uploads/verdict.js";
import { storePath } from "../support/store-paths.js";

const [a, b, c] = ["a", "b", "c"].map(storePath) as [string, string, string];
const batch = [a, b, c];
const info: LocalInfo = {
  size: 1,
  references: [],
  ultimate: true,
  deriver: null,
  registeredAt: 0,
  signatures: [],
  contentAddressed: false,
};
const infos = new Map(batch.map((path) => [path, info]));

test("one that is to blame fails alone", () => {
  const failure = { code: "copy-failed", text: "?", path: b } as const;
  expect(verdict(failure, batch, { blamed: [b], infos }, null)).toEqual({
    failed: [b],
    backOff: false,
  });
});

test("of a batch of which nothing is known nothing fails yet, but a single path does", () => {
  const failure = { code: "copy-failed", text: "?", path: null } as const;
  expect(verdict(failure, batch, { blamed: batch, infos }, null).failed).toEqual([]);
  expect(verdict(failure, [a], { blamed: [a], infos }, null).failed).toEqual([a]);
});

test("a target in trouble is left alone", () => {
  for (const code of ["target-full", "target-read-only", "link-lost"] as const) {
    expect(verdict({ code, text: "", path: null }, batch, { blamed: batch, infos }, null)).toEqual({
      failed: [],
      backOff: true,
    });
  }
});

test("what is refused for its signatures fails, and all that are signed alike", () => {
  const other = { ...info, signatures: ["pi-1:x"] };
  const mixed = new Map([...infos, [c, other] as const]);
  const failure = { code: "unsigned", text: "", path: a } as const;
  expect(verdict(failure, batch, { blamed: [a], infos: mixed }, null)).toEqual({
    failed: [a, b],
    backOff: false,
  });
  expect(verdict(failure, batch, { blamed: [a], infos }, null).failed).toEqual(batch);
});
