import { describe, expect, test } from "vitest";
import { progressLine, progressText, uploadProgress } from "../../src/cli/upload-progress.js";
import type { QueueItem } from "../../src/control/messages.js";
import { uploadTarget } from "../support/status-report.js";
import { storePath } from "../support/store-paths.js";

type Target = QueueItem["targets"][number];

const mib = 1_048_576;
const to = (name: string, changes: Partial<Target> = {}): Target => ({
  name,
  state: "waiting",
  sent: 0,
  tries: 0,
  code: null,
  reason: null,
  retryAt: null,
  ...changes,
});
const item = (name: string, targets: Target[], changes: Partial<QueueItem> = {}): QueueItem => ({
  path: storePath(name),
  deriver: null,
  size: 10 * mib,
  since: "2026-11-22T09:00:00.000Z",
  now: false,
  targets,
  ...changes,
});
const copying = uploadTarget({ state: "copying", rate: 2 * mib });

describe("progress", () => {
  test("counts bytes once for each cache, and what is on its way", () => {
    const before = [item("a", [to("pi"), to("nas")]), item("b", [to("pi")])];
    const left = [item("a", [to("pi", { state: "copying", sent: 4 * mib })]), item("b", [to("pi")])];
    const progress = uploadProgress(3, before, left, { pi: copying, nas: uploadTarget() });
    expect(progress).toEqual({
      paths: { arrived: 1, all: 3 },
      bytes: { size: 30 * mib, sent: 14 * mib },
      rate: 2 * mib,
      waits: [],
    });
    expect(progressText(progress)).toBe("1 of 3 paths, 14.0 of 30.0 MiB, 2.0 MiB/s, 8 s left");
  });

  test("counts paths only where a size is not known", () => {
    const left = [item("a", [to("pi")], { size: null })];
    const progress = uploadProgress(2, left, left, { pi: copying });
    expect(progressText(progress)).toBe("1 of 2 paths, 2.0 MiB/s");
    expect(progressLine(progress, 80)).toBe(`[${"#".repeat(12)}${" ".repeat(12)}] 1 of 2 paths, 2.0 MiB/s`);
  });

  test("says of each cache why nothing goes there, but not of those that these paths do not wait for", () => {
    const left = [
      item("a", [to("pi"), to("nas"), to("attic")]),
      item("b", [to("old", { state: "set-aside" }), to("pi")]),
    ];
    const { waits, rate } = uploadProgress(2, left, left, {
      pi: uploadTarget({ state: "held", reason: "on a metered connection" }),
      nas: uploadTarget({ state: "offline" }),
      attic: uploadTarget({ state: "backing-off", reason: "attic has no room left" }),
      old: uploadTarget({ state: "offline" }),
      shed: uploadTarget({ state: "offline" }),
    });
    expect(rate).toBeNull();
    expect(waits).toEqual([
      "pi is sent nothing: on a metered connection; `enqueue --now` sends it all the same",
      "nas is not in reach",
      "attic waits: attic has no room left",
    ]);
  });

  test("what was asked for by --now is not held back", () => {
    const left = [item("a", [to("pi")], { now: true })];
    const held = uploadTarget({ state: "held", reason: "…" });
    expect(uploadProgress(1, left, left, { pi: held }).waits).toEqual([]);
  });
});

test("the line fits its width, and has a bar where there is room", () => {
  const before = [item("a", [to("pi")])];
  const progress = uploadProgress(1, before, [item("a", [to("pi", { sent: 5 * mib })])], { pi: copying });
  const text = "0 of 1 path, 5.0 of 10.0 MiB, 2.0 MiB/s, 2 s left";
  expect(progressLine(progress, 100)).toBe(`[${"#".repeat(12)}${" ".repeat(12)}] ${text}`);
  expect(progressLine(progress, text.length + 13)).toBe(`[####    ] ${text}`);
  expect(progressLine(progress, text.length + 10)).toBe(text);
  expect(progressLine(progress, 30)).toBe(text.slice(0, 30));
  for (const width of [20, 59, 60, 70, 79])
    expect(progressLine(progress, width).length).toBeLessThanOrEqual(width);
});
