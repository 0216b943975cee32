import { expect, test } from "vitest";
import {
  closureWithin,
  parsePathInfos,
  refusedAlike,
  toSign,
  type LocalInfo,
} from "../../src/nix/path-infos.js";
import { storePath } from "../support/store-paths.js";

const path = storePath("mine");
const drv = storePath("mine.drv");
const ca = "fixed:r:sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h";

const info = (changes: Partial<LocalInfo> = {}): LocalInfo => ({
  size: 120,
  references: [],
  ultimate: false,
  deriver: null,
  registeredAt: 0,
  signatures: [],
  contentAddressed: false,
  ...changes,
});

test("what nix path-info says is understood, of 2.8 and of 2.26 and later", () => {
  const old = [
    { path, deriver: drv, narSize: 120, references: [], registrationTime: 1, ultimate: true },
    {
      path: storePath("dep"),
      deriver: "unknown-deriver",
      narSize: 8,
      references: [path],
      signatures: ["k:AA=="],
      ca,
    },
    { path: storePath("gone"), valid: false },
  ];
  const later = {
    [path]: { ca: null, deriver: drv, narSize: 120, references: [], registrationTime: 1, ultimate: true },
    [storePath("dep")]: {
      ca,
      deriver: null,
      narSize: 8,
      references: [path],
      signatures: ["k:AA=="],
      ultimate: false,
    },
    [storePath("gone")]: null,
  };
  const wanted = new Map([
    [path, info({ ultimate: true, deriver: drv, registeredAt: 1_000 })],
    [storePath("dep"), info({ size: 8, references: [path], signatures: ["k:AA=="], contentAddressed: true })],
  ]);
  expect(parsePathInfos(JSON.stringify(old))).toEqual(wanted);
  expect(parsePathInfos(JSON.stringify(later))).toEqual(wanted);
  expect(() => parsePathInfos("3")).toThrow();
});

test("a closure goes as far as what is known", () => {
  const infos = new Map([
    ["a", info({ references: ["a", "b", "there"] })],
    ["b", info({ references: ["c"] })],
    ["c", info()],
    ["d", info()],
  ]);
  expect(closureWithin("a", infos)).toEqual(new Set(["a", "b", "c"]));
  expect(closureWithin("there", infos)).toEqual(new Set());
});

test("signed is what was built here or is queued, unless it is already", () => {
  const infos = new Map([
    ["built", info({ ultimate: true })],
    ["fetched", info({ signatures: ["cache.nixos.org-1:x"] })],
    ["queued", info({ signatures: ["cache.nixos.org-1:x"] })],
    ["signed", info({ ultimate: true, signatures: ["me-1:x"] })],
    ["alike", info({ ultimate: true, signatures: ["me-11:x"] })],
  ]);
  expect(toSign(infos, new Set(["queued"]), "me-1")).toEqual(["built", "queued", "alike"]);
});

test("what would be refused for the same signatures is told at once", () => {
  const infos = new Map([
    ["bad", info({ signatures: ["me-1:x"] })],
    ["same", info({ signatures: ["me-1:y"] })],
    ["none", info()],
    ["other", info({ signatures: ["cache-1:x", "me-1:z"] })],
    ["proven", info({ contentAddressed: true })],
  ]);
  expect(refusedAlike("bad", [...infos.keys()], infos, null)).toEqual(["bad", "same", "none"]);
  expect(refusedAlike(null, [...infos.keys()], infos, null)).toEqual(["none"]);
  expect(refusedAlike(null, [...infos.keys()], infos, "me-1")).toEqual(["bad", "same", "none"]);
});
