// One waiting path: what becomes of it, and what a file must hold to be one.

import { describe, expect, test } from "vitest";
import {
  asGone,
  countEntries,
  entryFileName,
  fold,
  formatEntry,
  isGone,
  isUploadable,
  parseEntry,
  withArrival,
  withFailure,
  withRetry,
  type Entry,
} from "../../src/uploads/entry.js";
import { storePath } from "../support/store-paths.js";

const path = storePath("hello-1.0");
const deriver = storePath("hello-1.0.drv");
const addition = { path, deriver, since: 1_000 };
const fresh = { state: "waiting", tries: 0, code: null, lastError: null, notBefore: null };
const entry = fold(undefined, addition, ["pi", "nas"]);
const full = { code: "no-room", text: "the disk is full", permanent: false, notBefore: 5_000 };
const untrusted = { code: "untrusted", text: "no signature that it trusts", permanent: true };

test("a new path waits for every target", () => {
  expect(entry).toEqual({ version: 1, path, deriver, since: 1_000, targets: { pi: fresh, nas: fresh } });
});

describe("a path that comes in again", () => {
  test("is the same while it waits", () => {
    expect(fold(entry, { ...addition, since: 9_000 }, ["pi", "nas"])).toBe(entry);
    const tried = withFailure(entry, "pi", full);
    expect(fold(tried, addition, ["pi", "nas"])).toBe(tried);
    const aside = withFailure(entry, "pi", untrusted);
    expect(fold(aside, addition, ["pi", "nas"])).toBe(aside);
  });

  test("waits for a target that it has not waited for", () => {
    const left = withArrival(entry, "pi") as Entry;
    expect(fold(left, addition, ["pi", "nas"])).toEqual(entry);
    expect(fold(entry, addition, ["third"]).targets).toEqual({ pi: fresh, nas: fresh, third: fresh });
  });

  test("learns its derivation", () => {
    const unknown = fold(undefined, { ...addition, deriver: null }, ["pi"]);
    expect(fold(unknown, addition, ["pi"]).deriver).toBe(deriver);
    expect(fold(entry, { ...addition, deriver: null }, ["pi"]).deriver).toBe(deriver);
  });

  test("waits again after it was gone", () => {
    const gone = asGone(withFailure(entry, "nas", full));
    expect(isGone(gone)).toBe(true);
    expect(gone.targets).toMatchObject({ pi: { state: "set-aside", tries: 1 }, nas: { tries: 2 } });
    expect(fold(gone, addition, ["pi", "nas"])).toEqual(entry);
    expect(isGone(entry)).toBe(false);
  });
});

test("arrives at one target after the other", () => {
  const left = withArrival(entry, "pi");
  expect(left?.targets).toEqual({ nas: fresh });
  expect(withArrival(left as Entry, "pi")?.targets).toEqual({ nas: fresh });
  expect(withArrival(left as Entry, "nas")).toBeNull();
});

test("counts its failures, and is set aside where trying again can not help", () => {
  const once = withFailure(entry, "pi", full);
  expect(once.targets["pi"]).toEqual({
    state: "waiting",
    tries: 1,
    code: "no-room",
    lastError: "the disk is full",
    notBefore: 5_000,
  });
  const twice = withFailure(once, "pi", { ...untrusted, notBefore: 5_000 });
  expect(twice.targets["pi"]).toMatchObject({
    state: "set-aside",
    tries: 2,
    code: "untrusted",
    notBefore: null,
  });
  expect(twice.targets["nas"]).toEqual(fresh);
  expect(withFailure(entry, "elsewhere", full)).toBe(entry);
  expect(withRetry(twice, { now: false })).toEqual(entry);
  const urgent = withRetry(twice, { now: true });
  expect(urgent).toEqual({ ...entry, now: true });
  // Once asked for it stays so.
  expect(withRetry(urgent, { now: false })).toEqual(urgent);
  expect(parseEntry(entryFileName(path), formatEntry(urgent))).toEqual(urgent);
});

test("an error of any length still makes an entry that can be read", () => {
  const long = withFailure(entry, "pi", { ...full, code: "c".repeat(1_000), text: "t".repeat(100_000) });
  expect(parseEntry(entryFileName(path), formatEntry(long))).toEqual(long);
});

test("is counted once: as waiting while any target can be tried", () => {
  const aside = withFailure(entry, "pi", untrusted);
  const asideEverywhere = withFailure(aside, "nas", untrusted);
  const entries = [entry, aside, asideEverywhere, withArrival(aside, "nas") as Entry];
  expect(countEntries(entries)).toEqual({ waiting: 2, setAside: 2 });
  expect(countEntries(entries, "nas")).toEqual({ waiting: 2, setAside: 1 });
  expect(countEntries(entries, "elsewhere")).toEqual({ waiting: 0, setAside: 0 });
});

test.each([
  ["an output", path, true],
  ["a derivation", deriver, false],
  ["a path below", `${path}/bin`, false],
  ["another folder", "/tmp/hello", false],
  ["a short hash", "/nix/store/abc-hello", false],
  ["a strange name", `${path} x`, false],
])("%s can be queued or not", (_, candidate, expected) => {
  expect(isUploadable(candidate)).toBe(expected);
});

describe("a file", () => {
  const name = entryFileName(path);

  test("holds what was written", () => {
    expect(parseEntry(name, formatEntry(withFailure(entry, "pi", full)))).toEqual(
      withFailure(entry, "pi", full),
    );
  });

  test("of a later program keeps what is known here", () => {
    expect(parseEntry(name, JSON.stringify({ ...entry, size: 12 }))).toEqual(entry);
  });

  test.each<[string, string]>([
    ["nothing", ""],
    ["a power cut", "\0".repeat(300)],
    ["half of it", formatEntry(entry).slice(0, 80)],
    ["another version", JSON.stringify({ ...entry, version: 2 })],
    ["no targets", JSON.stringify({ ...entry, targets: {} })],
    ["another state", JSON.stringify({ ...entry, targets: { pi: { ...fresh, state: "lost" } } })],
    ["a derivation", JSON.stringify({ ...entry, path: deriver })],
    ["another path", JSON.stringify({ ...entry, path: storePath("other") })],
    ["no path", JSON.stringify({ ...entry, path: "/etc/passwd" })],
    ["a list", "[]"],
  ])("with %s is refused", (_, text) => {
    expect(() => parseEntry(name, text)).toThrow();
  });
});
