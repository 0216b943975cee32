// Why Nix did or did not fetch a path from a cache, by what is known: pure.

import type { PastRequest, ToldPath } from "../control/path-memory.js";
import { signers } from "../protocol/signature.js";
import type { CacheFacts } from "./facts.js";

/** What Nix would make of a path's signatures. */
export type Trust =
  | { readonly kind: "accepted"; readonly by: readonly string[] }
  | { readonly kind: "unsigned" }
  /** By `names`; of `impostors` Nix knows a key of that name, and it is another one. */
  | {
      readonly kind: "unknown-keys";
      readonly names: readonly string[];
      readonly impostors: readonly string[];
    };

/** Why a cache is not asked at all, at this moment. */
export type Unused =
  | { readonly kind: "paused" }
  | { readonly kind: "not-online"; readonly reason: string }
  /** A warning tells it. */
  | { readonly kind: "not-taken"; readonly text: string };

/** Nix asked whether it is there, and was told that it is not. */
export interface Denied {
  readonly kind: "absent" | "away" | "failed";
  readonly request: PastRequest;
}

/** The latest thing that happened, or what keeps it from happening. */
export type Verdict =
  | { readonly kind: "fetched" | "cut" | "left"; readonly request: PastRequest }
  | {
      readonly kind: "content-away" | "content-absent" | "content-failed";
      readonly request: PastRequest;
    }
  /** There, but Nix ignores it. */
  | { readonly kind: "ignored"; readonly trust: Exclude<Trust, { kind: "accepted" }> }
  | { readonly kind: "told"; readonly request: PastRequest }
  | Denied
  /** Never asked for, as far as is remembered. */
  | { readonly kind: "had-already" }
  | { readonly kind: "unused"; readonly why: Unused }
  | { readonly kind: "other-first"; readonly url: string; readonly priority: number }
  | { readonly kind: "not-asked" };

const afterwards = {
  sent: "fetched",
  cut: "cut",
  "cut-before": "cut",
  left: "left",
  "nar-away": "content-away",
  "nar-absent": "content-absent",
  "nar-failed": "content-failed",
  told: "told",
  "told-from-memory": "told",
  absent: "absent",
  away: "away",
  failed: "failed",
} as const satisfies Record<PastRequest["outcome"], Verdict["kind"]>;

export function verdictOf(facts: CacheFacts): Verdict {
  const [latest] = facts.memory.requests;
  if (latest === undefined) return neverAsked(facts);
  const kind = afterwards[latest.outcome];
  if (kind === "told") {
    const trust = trustAtPresent(facts, latest);
    return trust.kind === "accepted" ? { kind, request: latest } : { kind: "ignored", trust };
  }
  if (latest.outcome !== "cut-before") return { kind, request: latest };
  // Nix's retry: what it tells is told by the request that was cut.
  const cut = facts.memory.requests.find(({ outcome }) => outcome === "cut");
  return { kind, request: cut ?? latest };
}

function neverAsked({ status, memory, warnings, local, nix }: CacheFacts): Verdict {
  if (local?.present === true && !local.builtHere) return { kind: "had-already" };
  if (status.state === "paused") return { kind: "unused", why: { kind: "paused" } };
  if (status.state !== "online") {
    return { kind: "unused", why: { kind: "not-online", reason: status.reason ?? status.state } };
  }
  const warning = warnings.find(({ code }) => code === "url-not-allowed" || code === "override-not-included");
  if (warning !== undefined) return { kind: "unused", why: { kind: "not-taken", text: warning.text } };
  const first = nix?.others.find(
    ({ has, priority }) => has === true && priority !== null && priority < memory.priority,
  );
  if (first?.priority !== undefined && first.priority !== null)
    return { kind: "other-first", url: first.url, priority: first.priority };
  return { kind: "not-asked" };
}

/** By what the machine says now; where it can not be asked, by what was seen when it was told. */
function trustAtPresent(facts: CacheFacts, latest: PastRequest): Trust {
  const { now, trusted } = facts.memory;
  if (now.kind === "found") return trustIn(now.info, facts);
  const ignored = latest.unsigned && !trusted && facts.nix?.requireSignatures !== false;
  return ignored ? { kind: "unsigned" } : { kind: "accepted", by: [] };
}

export function trustIn(info: ToldPath, { memory, nix }: Pick<CacheFacts, "memory" | "nix">): Trust {
  const by = nix === null ? [] : signers(info, nix.keys);
  const needsNone = info.ca !== null || memory.trusted || nix === null || !nix.requireSignatures;
  if (by.length > 0 || needsNone) return { kind: "accepted", by };
  if (info.signatures.length === 0) return { kind: "unsigned" };
  const known = new Set(nix.keys.map(keyName));
  const names = [...new Set(info.signatures.map(keyName))];
  return { kind: "unknown-keys", names, impostors: names.filter((name) => known.has(name)) };
}

/** The name in a key or a signature, `name:base64`. */
export function keyName(word: string): string {
  return word.split(":", 1)[0] ?? word;
}
