import { describe, expect, test } from "vitest";
import type { PastRequest, RequestOutcome } from "../../src/control/path-memory.js";
import { newSigningKey } from "../../src/demo/signing.js";
import type { CacheFacts } from "../../src/explain/facts.js";
import { trustIn, verdictOf } from "../../src/explain/verdict.js";
import { cacheFacts, nixFacts, request, toldPath } from "../support/explained.js";
import { brokenStatus } from "../support/status-report.js";

const key = newSigningKey("pi-1");
const another = newSigningKey("pi-1");
const nix = {
  ...nixFacts,
  keys: ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=", key.publicKey],
};
const signed = { ...toldPath, signatures: [key.sign(toldPath)] };

const kindOf = (requests: PastRequest[], more: Partial<CacheFacts> = {}): string =>
  verdictOf(cacheFacts({ nix, ...more }, { requests, now: { kind: "found", info: signed } })).kind;

describe("what happened last tells why", () => {
  const expected: Record<RequestOutcome, string> = {
    told: "told",
    "told-from-memory": "told",
    absent: "absent",
    away: "away",
    failed: "failed",
    sent: "fetched",
    cut: "cut",
    left: "left",
    "cut-before": "cut",
    "nar-away": "content-away",
    "nar-absent": "content-absent",
    "nar-failed": "content-failed",
  };
  test.each(Object.entries(expected))("%s: %s", (outcome, kind) => {
    expect(kindOf([request(outcome as RequestOutcome, 1)])).toBe(kind);
    const older = (Object.keys(expected) as RequestOutcome[]).map((one) => request(one, 2));
    expect(kindOf([request(outcome as RequestOutcome, 1), ...older])).toBe(kind);
  });

  test("a retry after a cut is told by the cut", () => {
    const cut = request("cut", 2, { bytes: 5 });
    const verdict = verdictOf(cacheFacts({}, { requests: [request("cut-before", 1), cut] }));
    expect(verdict).toEqual({ kind: "cut", request: cut });
  });
});

describe("a path that Nix was told of and did not fetch", () => {
  const told = [request("told", 1)];
  test.each([
    ["signed by a key that it knows", signed, {}, "accepted"],
    ["known by its content", { ...toldPath, ca: "fixed:r:sha256:x" }, {}, "accepted"],
    ["of a cache that is trusted", toldPath, { trusted: true }, "accepted"],
    ["unsigned", toldPath, {}, "unsigned"],
    [
      "signed by another key of that name",
      { ...toldPath, signatures: [another.sign(toldPath)] },
      {},
      "unknown-keys",
    ],
    ["changed after it was signed", { ...signed, narSize: 1 }, {}, "unknown-keys"],
  ] as const)("%s: %s", (_what, info, memory, kind) => {
    const facts = cacheFacts({ nix }, { requests: told, now: { kind: "found", info }, ...memory });
    expect(trustIn(info, facts).kind).toBe(kind);
    expect(verdictOf(facts).kind).toBe(kind === "accepted" ? "told" : "ignored");
  });

  test("is signed by nobody that Nix knows: it is said by whom, and who pretends", () => {
    const stranger = newSigningKey("stranger-1");
    const info = { ...toldPath, signatures: [stranger.sign(toldPath), another.sign(toldPath)] };
    expect(trustIn(info, cacheFacts({ nix }))).toEqual({
      kind: "unknown-keys",
      names: ["stranger-1", "pi-1"],
      impostors: ["pi-1"],
    });
  });

  test("needs no signature where Nix asks for none, or does not say", () => {
    const lax = { ...nixFacts, requireSignatures: false };
    for (const one of [lax, null]) expect(trustIn(toldPath, cacheFacts({ nix: one })).kind).toBe("accepted");
  });

  test("was unsigned when Nix was told, where the machine can not be asked any more", () => {
    const requests = [request("told", 1, { unsigned: true })];
    expect(verdictOf(cacheFacts({ nix }, { requests, now: { kind: "away" } }))).toEqual({
      kind: "ignored",
      trust: { kind: "unsigned" },
    });
    const trusted = cacheFacts({ nix }, { requests, now: { kind: "away" }, trusted: true });
    expect(verdictOf(trusted).kind).toBe("told");
  });
});

describe("a path that Nix never asked for", () => {
  const here = (builtHere: boolean): CacheFacts["local"] => ({ present: true, builtHere, signers: [] });
  const other = { url: "https://other.example", priority: 20, has: true };
  test.each([
    ["is here already", { local: here(false) }, "had-already"],
    ["was built here, which needs a reason", { local: here(true) }, "not-asked"],
    ["is not here", {}, "not-asked"],
    ["is not known here", { local: null, nix: null }, "not-asked"],
    ["another cache is asked first and has it", { nix: { ...nix, others: [other] } }, "other-first"],
    [
      "another cache is asked first and lacks it",
      { nix: { ...nix, others: [{ ...other, has: false }] } },
      "not-asked",
    ],
    ["another cache is asked later", { nix: { ...nix, others: [{ ...other, priority: 30 }] } }, "not-asked"],
    [
      "another cache does not say when",
      { nix: { ...nix, others: [{ ...other, priority: null }] } },
      "not-asked",
    ],
  ] as const)("%s: %s", (_what, more, kind) => {
    expect(verdictOf(cacheFacts({ nix, ...more })).kind).toBe(kind);
  });

  test.each([
    [{ status: brokenStatus("pi", "paused by you", { state: "paused" }) }, { kind: "paused" }],
    [{ status: brokenStatus("pi", "no route") }, { kind: "not-online", reason: "no route" }],
    [
      { warnings: [{ code: "override-not-included", cache: null, text: "add the line", since: "" }] },
      { kind: "not-taken", text: "add the line" },
    ],
    [
      { warnings: [{ code: "url-not-allowed", cache: "pi", text: "let root allow it", since: "" }] },
      { kind: "not-taken", text: "let root allow it" },
    ],
  ])("because the cache is not used: %j", (more, why) => {
    expect(verdictOf(cacheFacts(more))).toEqual({ kind: "unused", why });
  });

  test("and a warning about something else is no reason", () => {
    const warnings = [{ code: "unsigned-paths", cache: "pi", text: "", since: "" }];
    expect(verdictOf(cacheFacts({ warnings })).kind).toBe("not-asked");
  });
});
