import { expect, test } from "vitest";
import type { LocalInfo } from "../../src/nix/path-infos.js";
import { createSieve, isWantedName, type SieveRules } from "../../src/uploads/sieve.js";
import { silentLog } from "../support/silent-log.js";
import { storePath } from "../support/store-paths.js";

const all: SieveRules = { only: [], skip: [], maxSize: null };
const [hello, source, big] = ["hello-2.12", "hello-source", "big"].map(storePath) as [string, string, string];

const info = (size: number): LocalInfo => ({
  size,
  references: [],
  ultimate: true,
  deriver: null,
  registeredAt: 0,
  signatures: [],
  contentAddressed: false,
});

/** What is held back of the three, and who was asked about what. */
const sift = async (
  rules: Partial<SieveRules>,
  deps: { infos?: () => Promise<Map<string, LocalInfo>>; available?: readonly string[] } = {},
): Promise<{ held: string[]; asked: { sizes: string[]; caches: string[] } }> => {
  const asked: { sizes: string[]; caches: string[] } = { sizes: [], caches: [] };
  const sieve = createSieve(
    { ...all, ...rules },
    {
      infos: (paths) => {
        asked.sizes.push(...paths);
        return (
          deps.infos?.() ??
          Promise.resolve(new Map(paths.map((path) => [path, info(path === big ? 11 : 10)])))
        );
      },
      available: (paths) => {
        asked.caches.push(...paths);
        return Promise.resolve(new Set(deps.available));
      },
      log: silentLog,
    },
  );
  return { held: [...(await sieve([hello, source, big]))], asked };
};

test("names decide: what fits a pattern to skip never goes, and with patterns to take nothing else does", () => {
  expect(isWantedName(hello, all)).toBe(true);
  expect(isWantedName(source, { only: [], skip: ["*-source"] })).toBe(false);
  expect(isWantedName(hello, { only: ["hello-*"], skip: ["*-source"] })).toBe(true);
  expect(isWantedName(source, { only: ["hello-*"], skip: ["*-source"] })).toBe(false);
  expect(isWantedName(big, { only: ["hello-*", "x"], skip: [] })).toBe(false);
  // The hash is no part of the name.
  expect(isWantedName(hello, { only: [`${hello.slice(11, 15)}*`], skip: [] })).toBe(false);
});

test("nobody is asked about what is out by its name, or about sizes that do not count", async () => {
  const { held, asked } = await sift({ skip: ["*-source"] });
  expect(held).toEqual([source]);
  expect(asked).toEqual({ sizes: [], caches: [hello, big] });
  expect(await sift({ skip: ["*"] })).toEqual({
    held: [hello, source, big],
    asked: { sizes: [], caches: [] },
  });
});

test("a size that is reached is not exceeded", async () => {
  const { held, asked } = await sift({ maxSize: 10, only: ["hello-2*", "big"] });
  expect(held).toEqual([source, big]);
  expect(asked).toEqual({ sizes: [hello, big], caches: [hello] });
});

test("what others have is held back", async () => {
  expect((await sift({}, { available: [big] })).held).toEqual([big]);
});

test("what can not be found out holds nothing back", async () => {
  expect((await sift({ maxSize: 1 }, { infos: () => Promise.reject(new Error("no nix")) })).held).toEqual([]);
  expect((await sift({ maxSize: 1 }, { infos: () => Promise.resolve(new Map()) })).held).toEqual([]);
});
