import { describe, expect, test } from "vitest";
import { explainText } from "../../src/cli/explain-text.js";
import { verdictWords } from "../../src/cli/explain-words.js";
import type { CacheMemory } from "../../src/control/path-memory.js";
import type { ExplainedCache, Explanation } from "../../src/explain/explain.js";
import type { CacheFacts } from "../../src/explain/facts.js";
import { trustIn, verdictOf } from "../../src/explain/verdict.js";
import { cacheFacts, hashPart, nixFacts, request, storePath, toldPath } from "../support/explained.js";
import { brokenStatus, cacheStatus, reportTime } from "../support/status-report.js";

function explained(more: Partial<CacheFacts> = {}, memory: Partial<CacheMemory> = {}): ExplainedCache {
  const facts = cacheFacts(more, memory);
  const { now } = facts.memory;
  return { facts, verdict: verdictOf(facts), trust: now.kind === "found" ? trustIn(now.info, facts) : null };
}

function shown(cache: ExplainedCache, more: Partial<Explanation> = {}, width = Infinity): string {
  const { local, nix } = cache.facts;
  const explanation = { hashPart, path: storePath, local, nix, caches: [cache], ...more };
  return explainText(explanation, { now: reportTime, width });
}

const found = { kind: "found", info: toldPath } as const;
const built = { present: true, builtHere: true, signers: [] };

test("a path that was fetched, with everything that is known", () => {
  const local = { present: true, builtHere: false, signers: ["pi-1", "cache.nixos.org-1"] };
  const others = [
    { url: "https://first.example", priority: 10, has: false },
    { url: "https://cache.nixos.org", priority: 40, has: null },
  ];
  const requests = [request("sent", 12, { generation: null }), request("told", 12.1), request("absent", 60)];
  const cache = explained(
    { local, nix: { ...nixFacts, others } },
    { requests, now: { kind: "found", info: { ...toldPath, ca: "fixed:x" } } },
  );
  expect(shown(cache)).toBe(`${storePath}

pi: Nix fetched it from pi 12 min ago: 3.0 MiB.
  Now: there, 3.0 MiB, which Nix takes
  Asked in the last 2 h, the latest first:
    12 min ago: fetched, all of 3.0 MiB
    12 min ago: asked; it is there (URL 3)
    1 h ago: asked; it is not there (URL 3)

Here: in the store, fetched or added, signed by pi-1, cache.nixos.org-1
Asked before: https://first.example (priority 10) does not have it
`);
});

test("a narrow terminal gets short lines, and a long story its latest part", () => {
  const requests = Array.from({ length: 9 }, (_, index) => request("absent", index + 1));
  const text = shown(explained({}, { requests }), {}, 50);
  for (const line of text.split("\n")) expect(line.length <= 50 || line === storePath, line).toBe(true);
  expect(text.match(/asked; it is not there/g)).toHaveLength(5);
  expect(text).toContain("and 4 more");
});

test("a path that nobody knows, without caches and without Nix", () => {
  const explanation = { hashPart, path: null, local: null, nix: null, caches: [] };
  expect(explainText(explanation, { now: reportTime, width: Infinity })).toBe(`${hashPart}-…

No caches are configured.

Here: nobody knows a path that begins so
Nix does not tell its settings, so its keys and other caches are not known.
`);
});

test("nothing that a machine says moves the cursor", () => {
  const reason = "no\u001b[2J\nroute";
  const text = shown(explained({ status: brokenStatus("pi", reason) }, { now: { kind: "failed", reason } }));
  expect(text).not.toContain("\u001b");
  expect(text).toContain("pi is not in reach: no route.");
});

describe("each verdict in words, with what to do next", () => {
  const away = brokenStatus("pi", "no route");
  const cases: [string, ExplainedCache, RegExp, RegExp | null][] = [
    [
      "fetched, and collected since",
      explained({}, { requests: [request("sent", 1)] }),
      /^Nix fetched it from pi 1 min ago: 3\.0 MiB\. It is not in the store here any more\.$/,
      null,
    ],
    [
      "fetched from the middle on",
      explained({ local: built }, { requests: [request("sent", 1, { bytes: 1 << 20 })] }),
      /^Nix fetched it from pi 1 min ago: the last 1\.0 MiB of 3\.0 MiB\.$/,
      null,
    ],
    [
      "cut",
      explained({ status: away }, { requests: [request("cut", 5, { bytes: 1 << 20 })] }),
      /The link was lost after 1\.0 MiB of 3\.0 MiB and was not back in time/,
      /^Give the command again when pi is online\. .*gateway\.resume-wait/,
    ],
    [
      "left",
      explained({}, { requests: [request("left", 5)] }),
      /wanted no more after 0 B of 3\.0 MiB: it was interrupted/,
      /^pi is online now: give the command again\.$/,
    ],
    [
      "away when the content was wanted",
      explained({}, { requests: [request("nar-away", 5)] }),
      /wanted its content 5 min ago, while pi was away/,
      /give the command again/,
    ],
    [
      "another one by now",
      explained({}, { requests: [request("nar-absent", 5)] }),
      /pi did not have that any more/,
      null,
    ],
    [
      "not sent",
      explained({}, { requests: [request("nar-failed", 5)] }),
      /pi did not begin to send it/,
      /journalctl --user --unit nix-tether/,
    ],
    [
      "unsigned",
      explained({}, { requests: [request("told", 5)], now: found }),
      /^pi has it, without a signature, and Nix ignores it\.$/,
      /^On raspberrypi\.local, .*nix store sign --all/,
    ],
    [
      "signed by a stranger",
      explained(
        {},
        { requests: [request("told", 5)], now: { ...found, info: { ...toldPath, signatures: ["x-1:AA"] } } },
      ),
      /signed by x-1, which Nix does not know/,
      /public key of x-1 into trusted-public-keys/,
    ],
    [
      "signed by a namesake",
      explained(
        { nix: { ...nixFacts, keys: ["x-1:AAAA"] } },
        { requests: [request("told", 5)], now: { ...found, info: { ...toldPath, signatures: ["x-1:AA"] } } },
      ),
      /not by the key of that name that Nix knows/,
      /^Compare trusted-public-keys/,
    ],
    [
      "told",
      explained({}, { requests: [request("told", 5)], now: { kind: "away" } }),
      /was told that pi has it, and has not asked for its content/,
      null,
    ],
    [
      "absent, and still is, but is here",
      explained({ local: built }, { requests: [request("absent", 5)] }),
      /^Nix asked 5 min ago, and pi did not have it\. It still does not\.$/,
      new RegExp(`^nix-tether enqueue ${storePath} sends it there\\.$`),
    ],
    [
      "absent, and there now, under the URL that Nix has",
      explained({}, { requests: [request("absent", 5)], now: found }),
      /It has it now\.$/,
      /remembers that for an hour under this URL/,
    ],
    [
      "absent, and there now, under another URL",
      explained(
        { status: cacheStatus("pi", { generation: 4 }) },
        { requests: [request("absent", 5)], now: found },
      ),
      /It has it now\.$/,
      /another URL by now.*give the command again/,
    ],
    [
      "absent, and there now, and there is no other URL",
      explained({}, { requests: [request("absent", 5, { generation: null })], now: found }),
      /It has it now\.$/,
      /status says what root must allow/,
    ],
    [
      "away",
      explained({ status: away }, { requests: [request("away", 5)], now: { kind: "away" } }),
      /^Nix asked 5 min ago, and pi was away\.$/,
      /when pi is online/,
    ],
    [
      "without an answer",
      explained({}, { requests: [request("failed", 5)] }),
      /^Nix asked 5 min ago, and pi gave no usable answer in time\. It does not have it now\.$/,
      null,
    ],
    [
      "here already",
      explained({ local: { ...built, builtHere: false } }),
      /^It is in the store here, so Nix asks nobody for it\.$/,
      null,
    ],
    [
      "paused",
      explained({ status: brokenStatus("pi", "", { state: "paused" }) }),
      /^Nix has not asked pi for it in the 2 h that are remembered\. You have paused pi\.$/,
      /^nix-tether resume pi$/,
    ],
    ["not in reach", explained({ status: away }), /pi is not in reach: no route\.$/, /^nix-tether status/],
    [
      "not taken by Nix",
      explained({
        warnings: [{ code: "url-not-allowed", cache: "pi", text: "Let root allow it.", since: "" }],
      }),
      /Nix does not use pi\. Let root allow it\.$/,
      null,
    ],
    [
      "another cache is first",
      explained({ nix: { ...nixFacts, others: [{ url: "https://x.example", priority: 5, has: true }] } }),
      /^https:\/\/x\.example is asked first \(its priority is 5, that of pi 30\), and has it\.$/,
      /A lower caches\.pi\.priority/,
    ],
    [
      "built here without a question",
      explained({ local: built }),
      /It was built here\. A command asks the caches that there were at its start/,
      null,
    ],
  ];
  test.each(cases)("%s", (_what, cache, text, remedy) => {
    const words = verdictWords(cache, storePath, reportTime);
    expect(words.text).toMatch(text);
    if (remedy === null) expect(words.remedy).toBeNull();
    else expect(words.remedy).toMatch(remedy);
  });
});
