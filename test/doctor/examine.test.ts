import { describe, expect, test } from "vitest";
import {
  arrange,
  outline,
  type Check,
  type CheckId,
  type Look,
  type Result,
} from "../../src/doctor/check.js";
import { examine } from "../../src/doctor/examine.js";
import { failure, ok, skipped, warning } from "../../src/doctor/finding.js";
import { TetherError } from "../../src/util/errors.js";

describe("arrange", () => {
  test("keeps the order, and goes as far as it can with one cache before it takes the next", () => {
    const checks = arrange(["pi", "nas"], () => null);
    const shown = checks.map(({ id, cache }) => (cache === null ? id : `${cache} ${id}`));
    const stretch = ["ssh-config", "agent", "name", "sshd", "host-key", "login", "transport", "far-nix"];
    expect(shown.slice(0, 18)).toEqual([
      "config",
      ...stretch.map((id) => `pi ${id}`),
      ...stretch.map((id) => `nas ${id}`),
      "include",
    ]);
    expect(new Set(shown).size).toBe(shown.length);
  });

  test("what a check needs has been looked at before", () => {
    outline.forEach(({ needs }, index) => {
      const before = outline.slice(0, index).map(({ id }) => id);
      expect(before).toEqual(expect.arrayContaining([...needs]));
    });
  });
});

/** Runs all checks of one cache; those that are not named are well. */
async function run(
  looks: Partial<Record<CheckId, Look>>,
  options: { wholeMs?: number; signal?: AbortSignal; ms?: number } = {},
): Promise<Map<CheckId, string>> {
  const told: Result[] = [];
  const checks = arrange(["pi"], (id) => looks[id] ?? (async () => ok("well"))).map((check): Check =>
    options.ms === undefined ? check : { ...check, ms: options.ms },
  );
  const results = await examine(checks, {
    wholeMs: options.wholeMs ?? 10_000,
    signal: options.signal ?? new AbortController().signal,
    onResult: (result) => told.push(result),
  });
  expect(told).toEqual(results);
  return new Map(results.map(({ id, mark, text }) => [id, `${mark}: ${text}`]));
}

describe("examine", () => {
  test("what hangs on a failure is not looked at, and names the first that stands in the way", async () => {
    const results = await run({
      sshd: async () => failure("refused", null),
      login: () => Promise.reject(new Error("must not be asked")),
    });
    expect(results.get("sshd")).toBe("failure: refused");
    for (const id of ["host-key", "login", "transport", "far-nix", "signatures"] as const) {
      expect(results.get(id)).toBe("skipped: waits for: sshd");
    }
    for (const id of ["agent", "urls", "gateway"] as const) expect(results.get(id)).toBe("ok: well");
  });

  test("a warning is no obstacle, but something not looked at is one", async () => {
    const results = await run({
      agent: async () => [ok("a"), warning("b", null)],
      daemon: async () => skipped("cannot tell"),
    });
    expect(results.get("login")).toBe("ok: well");
    expect(results.get("gateway")).toBe("skipped: waits for: Daemon");
  });

  test("an error is a failure in its own words", async () => {
    const checks = arrange(["pi"], () => async () => {
      throw new TetherError("absent", "nobody is there", { remedy: "Switch it on." });
    });
    const [first] = await examine(checks, {
      wholeMs: 1000,
      signal: new AbortController().signal,
      onResult: () => undefined,
    });
    expect(first).toEqual({
      id: "config",
      cache: null,
      title: "Configuration",
      mark: "failure",
      text: "nobody is there",
      remedy: "Switch it on.",
    });
  });

  test("each has its time, and is called off after it", async () => {
    let calledOff = false;
    const results = await run(
      {
        name: (signal) =>
          new Promise(() => signal.addEventListener("abort", () => (calledOff = true), { once: true })),
      },
      { ms: 50 },
    );
    expect(results.get("name")).toBe("failure: Name: no answer within 50 ms");
    expect(calledOff).toBe(true);
    expect(results.get("system-conf")).toBe("ok: well");
  });

  test("all of them have a time, too", async () => {
    const slow: Look = async () => {
      const until = performance.now() + 60;
      while (performance.now() < until);
      return ok("slow");
    };
    const results = await run({ config: slow }, { wholeMs: 50 });
    expect(results.get("config")).toBe("ok: slow");
    expect(results.get("include")).toBe("skipped: not looked at: the time is up");
  });

  test("an interruption ends it at once, and what was under way has no result", async () => {
    const interruption = new AbortController();
    const started = performance.now();
    const results = await run(
      {
        name: () => {
          setTimeout(() => interruption.abort(), 10);
          return new Promise(() => undefined);
        },
      },
      { signal: interruption.signal },
    );
    expect([...results.keys()]).toEqual(["config", "ssh-config", "agent"]);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
