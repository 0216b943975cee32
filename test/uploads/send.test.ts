// What is asked of a machine before something is sent to it. The machine, and what the local Nix knows, are made up; the
// `nix` that copies says that it has, and writes down what it was told.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import type { NixTools } from "../../src/nix/nix-tools.js";
import type { LocalInfo } from "../../src/nix/path-infos.js";
import { send, type Way } from "../../src/uploads/send.js";
import { storePath } from "../support/store-paths.js";
import { temporaryFolder } from "../support/temp-folder.js";

const [top, fetched, own] = ["top", "fetched", "own"].map(storePath) as [string, string, string];

const info = (changes: Partial<LocalInfo> = {}): LocalInfo => ({
  size: 1,
  references: [],
  ultimate: false,
  deriver: null,
  registeredAt: 0,
  signatures: [],
  contentAddressed: false,
  ...changes,
});
const known = new Map([
  [top, info({ ultimate: true, signatures: ["me-1:x"] })],
  [fetched, info({ signatures: ["cache.nixos.org-1:x"] })],
  [own, info()],
]);
const nix: NixTools = {
  closure: () => Promise.resolve([...known.keys()]),
  invalid: () => Promise.resolve([]),
  infos: (paths) => Promise.resolve(new Map([...known].filter(([one]) => paths.includes(one)))),
  sign: () => Promise.resolve(true),
};

let folder = "";
let there: Set<string>;
let way: Way;

beforeEach(() => {
  folder = temporaryFolder();
  there = new Set();
  way = { signsInStore: null, fetches: true };
  writeFileSync(path.join(folder, "nix"), `#!/bin/sh\necho "$*" >>${folder}/said\n`, { mode: 0o755 });
});

const sendTop = (fetch: (paths: readonly string[]) => Promise<Set<string>>): ReturnType<typeof send> => {
  const has = (paths: readonly string[]): Set<string> => new Set(paths.filter((one) => there.has(one)));
  return send([top], {
    target: {
      socket: "/no/socket",
      wire: () => 0,
      validPaths: (paths) => Promise.resolve(has(paths)),
      fetch,
    },
    nix,
    env: { PATH: folder },
    stage: path.join(folder, "stage"),
    key: null,
    derivers: new Map(),
    way,
    signal: new AbortController().signal,
    onArrived: () => Promise.resolve(),
    // It has arrived as soon as it is sent.
    onCopy: (infos) => [...infos.keys()].forEach((one) => there.add(one)),
    onPath: () => undefined,
  });
};

test("the machine is told to fetch what was fetched here, and nothing that was built or added here", async () => {
  const fetch = vi.fn(async (paths: readonly string[]) => new Set(paths));
  expect(await sendTop(fetch)).toMatchObject({ failure: null });
  expect(fetch.mock.calls.map(([paths]) => paths)).toEqual([[fetched]]);
  expect([...there].toSorted()).toEqual([top, own].toSorted());
  expect(readFileSync(path.join(folder, "said"), "utf8")).toMatch(
    / copy --to \S+ --no-check-sigs \S+-top\n$/,
  );
});

test("it is not told so where nobody wants it, or nothing is missing", async () => {
  const fetch = vi.fn(async () => new Set<string>());
  way.fetches = false;
  await sendTop(fetch);
  way.fetches = true;
  await sendTop(fetch);
  expect(fetch).not.toHaveBeenCalled();
});

test("one that fails to, or takes long for nothing, is sent everything and not told again", async () => {
  const fetch = vi.fn(() => Promise.reject(new Error("no substituters")));
  expect(await sendTop(fetch)).toMatchObject({ failure: null });
  expect([there.has(fetched), way.fetches]).toEqual([true, false]);

  there.clear();
  way.fetches = true;
  const late = vi.fn(async () => {
    clock.mockReturnValue(5_000);
    return new Set<string>();
  });
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  await sendTop(late);
  clock.mockRestore();
  expect([there.has(fetched), way.fetches]).toEqual([true, false]);
});
