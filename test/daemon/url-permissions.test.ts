import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createUrlPermissions } from "../../src/daemon/url-permissions.js";
import { createWarnings } from "../../src/daemon/warnings.js";
import { silentLog } from "../support/silent-log.js";

const ring = Array.from({ length: 16 }, (_, n) => `http://127.0.0.1:37515/pi/${n}?priority=30`);
const bare = "http://127.0.0.1:37515/pi?priority=30";
const everything = [...ring, bare];
const without = (...allowed: number[]): string[] => ring.filter((_, n) => !allowed.includes(n));

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const nix: { refuses: readonly string[] | null; asked: number } = { refuses: [], asked: 0 };
  const at = { generation: 0 };
  const warnings = createWarnings({ log: silentLog, now: Date.now });
  let changes = 0;
  const permissions = createUrlPermissions({
    urls: new Map([["pi", ring]]),
    bareUrls: new Map([["pi", bare]]),
    generationOf: () => at.generation,
    ask: (urls) => {
      expect(urls).toEqual(everything);
      nix.asked += 1;
      return Promise.resolve(nix.refuses === null ? null : new Set(nix.refuses));
    },
    onChanged: () => Promise.resolve((changes += 1)),
    warnings,
  });
  const look = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(3_000);
    await permissions.look();
  };
  const told = (): string[] => warnings.list().map(({ code }) => code);
  return { nix, at, warnings, permissions, look, told, changes: () => changes };
}

test("a cache may be listed until Nix is known to ignore its URL, and root is told how to allow it", async () => {
  const { nix, permissions, warnings, look, told, changes } = setUp();
  nix.refuses = null;
  await look();
  expect([permissions.listable("pi"), told(), changes()]).toEqual(["present", [], 0]);
  nix.refuses = everything;
  await look();
  expect([permissions.listable("pi"), told(), changes()]).toEqual([null, ["url-not-allowed"], 1]);
  expect(warnings.list()[0]?.text).toContain(
    '`for n in $(seq 0 15); do echo "extra-trusted-substituters = http://127.0.0.1:37515/pi/$n?priority=30"; done | ' +
      "sudo tee -a /etc/nix/nix.conf; sudo systemctl restart nix-daemon`",
  );
  // While root does so, the nix-daemon is away for a moment.
  nix.refuses = null;
  await look();
  expect([permissions.listable("pi"), told(), changes()]).toEqual([null, ["url-not-allowed"], 1]);
  nix.refuses = [];
  await look();
  expect([permissions.listable("pi"), told(), changes()]).toEqual(["present", [], 2]);
});

test("what is missing of the ring is named while the present one may be listed", async () => {
  const { nix, at, permissions, warnings, look, told } = setUp();
  nix.refuses = [...without(0, 3), bare];
  await look();
  expect([permissions.listable("pi"), permissions.refused("pi").size, told()]).toEqual([
    "present",
    14,
    ["urls-missing"],
  ]);
  expect(warnings.list()[0]?.text).toMatch(
    /only 2 of its 16 URLs.*for n in 1 2 4 5 6 7 8 9 10 11 12 13 14 15; do/,
  );
  at.generation = 1;
  permissions.warn();
  expect([permissions.listable("pi"), told()]).toEqual([null, ["url-not-allowed"]]);
});

test("where root has allowed nothing but the URL without a generation, that one is listed", async () => {
  const { nix, permissions, warnings, look, told } = setUp();
  nix.refuses = ring;
  await look();
  expect([permissions.listable("pi"), told()]).toEqual(["bare", ["urls-missing"]]);
  expect(warnings.list()[0]?.text).toContain("only its URL without a number");
});

test("Nix is asked again only where it refuses something, and not all the time", async () => {
  const { nix, permissions, look } = setUp();
  nix.refuses = [bare];
  await look();
  await vi.advanceTimersByTimeAsync(60_000);
  await permissions.lookAgain();
  expect(nix.asked).toBe(1);
  nix.refuses = everything;
  await look();
  expect(nix.asked).toBe(2);
  // Too soon.
  await permissions.lookAgain();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(nix.asked).toBe(2);
  await Promise.all([permissions.lookAgain(), permissions.lookAgain()]);
  expect(nix.asked).toBe(3);
  // What has to be known is asked for as soon as it may be.
  const looked = Promise.all([permissions.look(), permissions.look()]);
  expect(nix.asked).toBe(3);
  await vi.advanceTimersByTimeAsync(3_000);
  await looked;
  expect(nix.asked).toBe(4);
});
