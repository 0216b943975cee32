// The checks in their order, which is that of the way a path takes to Nix: what each is called and what it hangs on.

import type { Finding } from "./finding.js";

interface Outline {
  /** Stable: programs know it by this. */
  readonly id: string;
  /** What is looked at, in a word or two. */
  readonly title: string;
  /** Whether it is made for each cache. */
  readonly each: boolean;
  /** Earlier checks, of the same cache or of none, without which this one can find nothing out. */
  readonly needs: readonly string[];
  /** How long it may take, in milliseconds; by default 10 s. */
  readonly ms?: number;
}

export const outline = [
  { id: "config", title: "Configuration", each: false, needs: [] },
  { id: "ssh-config", title: "ssh's settings", each: true, needs: ["config"] },
  { id: "agent", title: "Keys", each: true, needs: ["ssh-config"] },
  { id: "name", title: "Name", each: true, needs: ["ssh-config"] },
  { id: "sshd", title: "sshd", each: true, needs: ["name"] },
  { id: "host-key", title: "Host key", each: true, needs: ["sshd"] },
  // Connecting, logging in and trying both transports take their time each.
  { id: "login", title: "Login", each: true, needs: ["host-key", "agent"], ms: 25_000 },
  { id: "transport", title: "Transport", each: true, needs: ["login"] },
  { id: "far-nix", title: "Far nix-daemon", each: true, needs: ["transport"] },
  { id: "include", title: "Your nix.conf", each: false, needs: [] },
  { id: "nix", title: "Nix", each: false, needs: [] },
  { id: "nix-settings", title: "Nix's settings", each: false, needs: ["nix"] },
  { id: "urls", title: "URLs", each: true, needs: ["config", "nix"] },
  { id: "keys", title: "Public keys", each: true, needs: ["config", "nix"] },
  { id: "signatures", title: "Signatures", each: true, needs: ["far-nix", "nix"] },
  { id: "daemon", title: "Daemon", each: false, needs: [] },
  { id: "state", title: "Its state", each: true, needs: ["config", "daemon"] },
  { id: "gateway", title: "Gateway", each: true, needs: ["config", "daemon"] },
  { id: "hook", title: "Hook", each: false, needs: ["config", "nix"] },
  { id: "lingering", title: "Lingering", each: false, needs: [] },
  { id: "system-conf", title: "System's nix.conf", each: false, needs: [] },
] as const satisfies readonly Outline[];

type Outlined = (typeof outline)[number];
export type CheckId = Outlined["id"];
/** Of the checks that are made for each cache. */
export type CacheCheckId = Extract<Outlined, { each: true }>["id"];
/** Of the others. */
export type CommonCheckId = Exclude<CheckId, CacheCheckId>;

/** Resolves to one finding at least. A rejection is a failure, told in the error's words. */
export type Look = (signal: AbortSignal) => Promise<Finding | readonly Finding[]>;

export interface Check extends Outline {
  readonly id: CheckId;
  /** The cache that it is about; null for what concerns all of them. */
  readonly cache: string | null;
  /** Null for what can not be looked at at all. */
  readonly look: Look | null;
}

/** A finding and whose it is. */
export interface Result extends Finding, Pick<Check, "id" | "cache" | "title"> {}

/**
 * Every check, in order; what concerns single caches is made for one cache after the other, as long as the way goes on for
 * each. `lookAt` gives what to do; its cache is null for a check that concerns all.
 */
export function arrange(
  caches: readonly (string | null)[],
  lookAt: (id: CheckId, cache: string | null) => Look | null,
): Check[] {
  const stretches: Outlined[][] = [];
  for (const one of outline) {
    const last = stretches.at(-1);
    if (last?.[0]?.each === one.each) last.push(one);
    else stretches.push([one]);
  }
  return stretches.flatMap((stretch) =>
    (stretch[0]?.each === true ? caches : [null]).flatMap((cache) =>
      stretch.map((one) => ({ ...one, cache, look: lookAt(one.id, cache) })),
    ),
  );
}
