import { describe, expect, test } from "vitest";
import {
  arrange,
  outline,
  type Check,
  type CachePlan,
  type CheckId,
  type Look,
  type Result,
  type Subject,
} from "../../src/doctor/check.js";
import { examine } from "../../src/doctor/examine.js";
import { failure, ok, skipped, warning, type Finding } from "../../src/doctor/finding.js";
import type { WayPlan } from "../../src/doctor/ways.js";
import { TetherError } from "../../src/util/errors.js";

const everywhere: WayPlan = { label: null, depth: "whole", rule: null };
const plan = (name: string, ...ways: readonly WayPlan[]): CachePlan => ({
  kind: "ssh",
  name,
  ways: ways.length === 0 ? [everywhere] : ways,
});

describe("arrange", () => {
  test("keeps the order, and goes as far as it can with one cache before it takes the next", () => {
    const checks = arrange([plan("pi"), plan("nas")], () => null);
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

  test("goes each way as far as it is to be looked at", () => {
    const rule = ok("for this network");
    const ways: WayPlan[] = [
      { label: "a", depth: "closed", rule: skipped("not here") },
      { label: "b", depth: "whole", rule: null },
      { label: "c", depth: "unused", rule },
    ];
    const checks = arrange([plan("pi", ...ways)], () => null);
    const shown = checks.map(({ id, way }) => (way === null ? id : `${way.label} ${id}`));
    expect(shown.slice(1, 15)).toEqual(
      [
        "a way",
        ...["ssh-config", "agent", "name", "sshd", "host-key", "login", "transport"].map((id) => `b ${id}`),
        ...["way", "ssh-config", "agent", "name", "sshd", "host-key"].map((id) => `c ${id}`),
      ].slice(0, 14),
    );
    expect(shown.slice(15, 17)).toEqual(["far-nix", "include"]);
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
  const results = await runWith([plan("pi")], (id) => looks[id], options);
  return new Map(results.map(({ id, mark, text }) => [id, `${mark}: ${text}`]));
}

async function runWith(
  caches: readonly CachePlan[],
  lookAt: (id: CheckId, way: string | null) => Look | undefined,
  options: { wholeMs?: number; signal?: AbortSignal; ms?: number } = {},
): Promise<Result[]> {
  const told: Result[] = [];
  const well: Look = async () => ok("well");
  const lookAtAny = (id: CheckId, { way }: Subject): Look => lookAt(id, way?.label ?? null) ?? well;
  const checks = arrange(caches, lookAtAny).map((check): Check =>
    options.ms === undefined ? check : { ...check, ms: options.ms },
  );
  const results = await examine(checks, {
    wholeMs: options.wholeMs ?? 10_000,
    signal: options.signal ?? new AbortController().signal,
    onResult: (result) => told.push(result),
  });
  expect(told).toEqual(results);
  return results;
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
    const checks = arrange([plan("pi")], () => async () => {
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
      way: null,
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

describe("several ways", () => {
  const [lan, vpn]: [WayPlan, WayPlan] = [
    { label: "lan", depth: "whole", rule: null },
    { label: "vpn", depth: "whole", rule: null },
  ];
  const gone = async (): Promise<Finding> => failure("nobody is there", "Switch it on.");
  const linesOf = (results: readonly Result[]): string[] =>
    results
      .filter(({ cache }) => cache !== null)
      .map(({ id, way, mark, text }) => `${way ?? "all"} ${id} ${mark}: ${text}`)
      .filter((line) => !line.endsWith("ok: well"));

  test("a machine that is not there by one of them, but by another, is no failure", async () => {
    for (const id of ["name", "sshd"] as const) {
      const results = await runWith([plan("pi", lan, vpn)], (one, way) =>
        one === id && way === "lan" ? gone : undefined,
      );
      expect(linesOf(results)).toEqual([`lan ${id} skipped: nobody is there; it is reached by another way`]);
      expect(results.find(({ mark }) => mark === "skipped")?.remedy).toBeNull();
    }
  });

  test("a wrong host key, or a login that is refused, is one", async () => {
    for (const id of ["host-key", "login"] as const) {
      const results = await runWith([plan("pi", lan, vpn)], (one, way) =>
        one === id && way === "vpn" ? gone : undefined,
      );
      expect(linesOf(results)[0]).toBe(`vpn ${id} failure: nobody is there`);
    }
  });

  test("a machine that is there by none of them is told of each, and what hangs on it waits", async () => {
    const results = await runWith([plan("pi", lan, vpn), plan("nas")], (one, way) =>
      one === "name" && way !== null ? gone : undefined,
    );
    expect(linesOf(results).filter((line) => !/waits for/.test(line))).toEqual([
      "lan name failure: nobody is there",
      "vpn name failure: nobody is there",
    ]);
    expect(linesOf(results)).toContain("all far-nix skipped: waits for: Name");
    expect(results.find(({ id, cache }) => id === "far-nix" && cache === "nas")?.mark).toBe("ok");
  });

  test("by a way that waits to be asked for it need not be there", async () => {
    const unused: WayPlan = { label: null, depth: "unused", rule: skipped("when you ask for it") };
    const results = await runWith([plan("pi", unused)], (one) => (one === "sshd" ? gone : undefined));
    expect(linesOf(results)).toEqual([
      "all sshd skipped: nobody is there",
      "all far-nix skipped: waits for: Way",
      "all signatures skipped: waits for: Way",
    ]);
  });

  test("where none is for this network, nothing is looked at there", async () => {
    const closed: WayPlan = { label: null, depth: "closed", rule: skipped("not here") };
    const results = await runWith([plan("pi", closed)], (one) =>
      one === "way" ? async () => skipped("not here") : undefined,
    );
    expect(linesOf(results)).toEqual([
      "all way skipped: not here",
      "all far-nix skipped: waits for: Way",
      "all signatures skipped: waits for: Way",
    ]);
  });

  test("a cache on a web server is there by a way that its server answers on", async () => {
    const rule = ok("for this network");
    const home: WayPlan = { label: "home", depth: "whole", rule };
    const outside: WayPlan = { label: "outside", depth: "whole", rule };
    const results = await runWith([{ ...plan("web", home, outside), kind: "http" }], (one, way) => {
      if (one === "way") return async () => rule;
      return one === "web-server" && way === "home" ? gone : undefined;
    });
    expect(linesOf(results)).toEqual([
      "home way ok: for this network",
      "home web-server skipped: nobody is there; it is reached by another way",
      "outside way ok: for this network",
    ]);
    expect(results.find(({ id }) => id === "signatures")?.mark).toBe("ok");
  });
});
