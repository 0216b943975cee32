// The checks in their order, which is that of the way a path takes to Nix: what each is called and what it hangs on.

import type { CacheConfig } from "../config/schema.js";
import type { Finding } from "./finding.js";
import type { WayPlan } from "./ways.js";

interface Outline {
  /** Stable: programs know it by this. */
  readonly id: string;
  /** What is looked at, in a word or two. */
  readonly title: string;
  /** Whether it is made once, for each cache, or for each way to each cache's machine. */
  readonly scope: "all" | "cache" | "way";
  /** Earlier checks without which this one can find nothing out; of those of several ways one will do. */
  readonly needs: readonly string[];
  /** How long it may take, in milliseconds; by default 10 s. */
  readonly ms?: number;
  /** Not made on a way that waits to be asked for. */
  readonly uses?: true;
  /** Made only for caches of this type. */
  readonly kind?: CacheConfig["type"];
}

export const outline = [
  { id: "config", title: "Configuration", scope: "all", needs: [] },
  // Made only where not every network will do.
  { id: "way", title: "Way", scope: "way", needs: ["config"] },
  { id: "ssh-config", title: "ssh's settings", scope: "way", needs: ["config"], kind: "ssh" },
  { id: "agent", title: "Keys", scope: "way", needs: ["ssh-config"], kind: "ssh" },
  { id: "name", title: "Name", scope: "way", needs: ["ssh-config"] },
  { id: "sshd", title: "sshd", scope: "way", needs: ["name"], kind: "ssh" },
  { id: "host-key", title: "Host key", scope: "way", needs: ["sshd"], kind: "ssh" },
  // Connecting, logging in and trying both transports take their time each.
  {
    id: "login",
    title: "Login",
    scope: "way",
    needs: ["host-key", "agent"],
    ms: 25_000,
    uses: true,
    kind: "ssh",
  },
  { id: "transport", title: "Transport", scope: "way", needs: ["login"], uses: true, kind: "ssh" },
  { id: "web-server", title: "Web server", scope: "way", needs: ["name"], kind: "http", ms: 20_000 },
  { id: "far-nix", title: "Far nix-daemon", scope: "cache", needs: ["transport"], kind: "ssh" },
  { id: "include", title: "Your nix.conf", scope: "all", needs: [] },
  { id: "nix", title: "Nix", scope: "all", needs: [] },
  { id: "nix-settings", title: "Nix's settings", scope: "all", needs: ["nix"] },
  { id: "urls", title: "URLs", scope: "cache", needs: ["config", "nix"] },
  { id: "keys", title: "Public keys", scope: "cache", needs: ["config", "nix"] },
  { id: "signatures", title: "Signatures", scope: "cache", needs: ["far-nix", "web-server", "nix"] },
  { id: "daemon", title: "Daemon", scope: "all", needs: [] },
  { id: "state", title: "Its state", scope: "cache", needs: ["config", "daemon"] },
  { id: "gateway", title: "Gateway", scope: "cache", needs: ["config", "daemon"] },
  { id: "hook", title: "Hook", scope: "all", needs: ["config", "nix"] },
  { id: "lingering", title: "Lingering", scope: "all", needs: [] },
  { id: "system-conf", title: "System's nix.conf", scope: "all", needs: [] },
] as const satisfies readonly Outline[];

type Outlined = (typeof outline)[number];
export type CheckId = Outlined["id"];
/** Of the checks that are made once. */
export type CommonCheckId = Extract<Outlined, { scope: "all" }>["id"];
/** Of those that are made for each cache. */
export type CacheCheckId = Extract<Outlined, { scope: "cache" }>["id"];
/** Of those that are made for each way to its machine. */
export type WayCheckId = Extract<Outlined, { scope: "way" }>["id"];

/** Resolves to one finding at least. A rejection is a failure, told in the error's words. */
export type Look = (signal: AbortSignal) => Promise<Finding | readonly Finding[]>;

/** What a check is about. */
export interface Subject {
  /** Null for what concerns all caches. */
  readonly cache: string | null;
  /** Null for what concerns all ways to it. */
  readonly way: WayPlan | null;
}

export interface Check extends Outline, Subject {
  readonly id: CheckId;
  /** Null for what can not be looked at at all. */
  readonly look: Look | null;
}

/** A finding and whose it is. */
export interface Result extends Finding, Pick<Check, "id" | "cache" | "title"> {
  /** By which of several ways, in a word; null where there is but one, or it concerns all. */
  readonly way: string | null;
}

/** A cache, or what stands for one, and the ways to its machine. */
export interface CachePlan {
  readonly name: string | null;
  readonly kind: CacheConfig["type"];
  readonly ways: readonly WayPlan[];
}

/**
 * Every check, in order; what concerns single caches is made for one cache after the other, as long as the way goes on for
 * each, and what concerns single ways likewise. `lookAt` gives what to do.
 */
export function arrange(
  caches: readonly CachePlan[],
  lookAt: (id: CheckId, subject: Subject) => Look | null,
): Check[] {
  const make = (one: Outlined, cache: string | null, way: WayPlan | null): Check => ({
    ...one,
    cache,
    way,
    look: lookAt(one.id, { cache, way }),
  });
  const ofCache = ({ name, kind, ways }: CachePlan, stretch: readonly Outlined[]): Check[] =>
    stretches(ofKind(stretch, kind), ({ scope }) => scope).flatMap((part) =>
      (part[0]?.scope === "way" ? ways : [null]).flatMap((way) =>
        part.filter((one) => way === null || isMade(one, way)).map((one) => make(one, name, way)),
      ),
    );
  return stretches(outline, ({ scope }) => scope === "all").flatMap((stretch) =>
    stretch[0]?.scope === "all"
      ? stretch.map((one) => make(one, null, null))
      : caches.flatMap((cache) => ofCache(cache, stretch)),
  );
}

function ofKind(some: readonly Outlined[], kind: CachePlan["kind"]): Outlined[] {
  return some.filter((one: Outlined & Outline) => one.kind === undefined || one.kind === kind);
}

function isMade(one: Outline, { rule, depth }: WayPlan): boolean {
  if (one.id === "way") return rule !== null;
  return depth === "whole" || (depth === "unused" && one.uses !== true);
}

/** Neighbours with the same `kind` together. */
function stretches<T>(all: readonly T[], kind: (one: T) => unknown): T[][] {
  const found: T[][] = [];
  for (const one of all) {
    const last = found.at(-1);
    if (last?.[0] !== undefined && kind(last[0]) === kind(one)) last.push(one);
    else found.push([one]);
  }
  return found;
}
