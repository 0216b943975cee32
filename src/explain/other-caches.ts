// Nix's other caches: which of them it would ask before ours, and whether those have a path. Asked over the network, and only
// because a person wants to know.

import type { OtherCache } from "./facts.js";

/** Each question may take so long, in milliseconds. */
const deadlineMs = 4_000;

/** Nobody has many more; a list that long is told in part. */
const mostCaches = 12;

/** A `nix-cache-info` is a few lines. */
const mostBytes = 64 * 1024;

/** Nix would otherwise look into what it remembers of nix-cache-info. */
const wellKnown: ReadonlyMap<string, number> = new Map([["cache.nixos.org", 40]]);

/**
 * What is known of `urls` (as in `substituters`), in their order. Asked for the path are those that come before `priority`,
 * by HTTP only. Bounded; never rejects.
 */
export function lookAtOthers(
  urls: readonly string[],
  { hashPart, priority }: { readonly hashPart: string; readonly priority: number },
): Promise<OtherCache[]> {
  return Promise.all(
    urls.slice(0, mostCaches).map(async (url): Promise<OtherCache> => {
      const own = priorityIn(url) ?? (await priorityOf(url));
      const asked = own !== null && own < priority;
      return { url, priority: own, has: asked ? await hasPath(url, hashPart) : null };
    }),
  );
}

/** The one that the URL itself sets, or that everybody knows. */
export function priorityIn(url: string): number | null {
  if (!URL.canParse(url)) return null;
  const { hostname, searchParams } = new URL(url);
  const set = Number(searchParams.get("priority") ?? Number.NaN);
  return Number.isInteger(set) ? set : (wellKnown.get(hostname) ?? null);
}

/** The one that a `nix-cache-info` tells; without one Nix takes 0. */
export function priorityTold(cacheInfo: string): number {
  const [, told] = /^Priority: *(\d+)/m.exec(cacheInfo) ?? [];
  return told === undefined ? 0 : Number(told);
}

async function priorityOf(url: string): Promise<number | null> {
  const response = await ask(url, "nix-cache-info");
  const text = response?.ok === true ? await bodyOf(response) : null;
  return text?.includes("StoreDir:") === true ? priorityTold(text) : null;
}

async function hasPath(url: string, hashPart: string): Promise<boolean | null> {
  const response = await ask(url, `${hashPart}.narinfo`);
  if (response === null) return null;
  const text = await bodyOf(response);
  // S3 says 403 where there is nothing.
  if (response.status === 404 || response.status === 403) return false;
  // A portal answers everything, with a page of its own.
  return response.ok && text?.includes(`/${hashPart}-`) === true ? true : null;
}

async function ask(url: string, file: string): Promise<Response | null> {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return null;
  const target = new URL(url);
  target.search = "";
  target.pathname = `${target.pathname.replace(/\/$/, "")}/${file}`;
  try {
    return await fetch(target, { signal: AbortSignal.timeout(deadlineMs) });
  } catch {
    return null;
  }
}

/** The text of a body, or null where it ends too late or is longer than any should be. */
async function bodyOf(response: Response): Promise<string | null> {
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const piece of response.body ?? []) {
      text += decoder.decode(piece as Uint8Array, { stream: true });
      if (text.length > mostBytes) return null;
    }
    return text;
  } catch {
    return null;
  }
}
