import { existsSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { removeAwayMark, withDenialsWhileAway } from "../../src/daemon/away-mark.js";
import { nothingSaved } from "../../src/daemon/generation-file.js";
import { temporaryFolder } from "../support/temp-folder.js";

const saved = { pi: { ...nothingSaved, current: 3, lost: 5_000 } };

test("without a mark nothing changes", () => {
  expect(withDenialsWhileAway(saved, ["pi", "nas"], path.join(temporaryFolder(), "mark"))).toBe(saved);
});

test("a mark counts as denials of unknown paths, in every cache, until it is removed", () => {
  const mark = path.join(temporaryFolder(), "mark");
  writeFileSync(mark, "");
  utimesSync(mark, 9, 9);
  expect(withDenialsWhileAway(saved, ["pi", "nas"], mark)).toEqual({
    pi: { ...nothingSaved, current: 3, lost: 9_000 },
    nas: { ...nothingSaved, lost: 9_000 },
  });
  utimesSync(mark, 2, 2);
  expect(withDenialsWhileAway(saved, ["pi"], mark)).toEqual(saved);
  removeAwayMark(mark);
  removeAwayMark(mark);
  expect(existsSync(mark)).toBe(false);
});
