// Asks binary caches on the network whether they have paths. One that does not answer, or not as a cache does, is taken for
// one that has nothing, and left alone for a while: a build must not wait for it, and nothing is kept back for it.

import type { Logger } from "pino";
import { parseStorePath } from "../protocol/store-path.js";
import { messageOf } from "../util/errors.js";

export interface PublicCachesOptions {
  /** Without a slash at their end. */
  readonly urls: readonly string[];
  readonly log: Logger;
  /** For one answer, in milliseconds. */
  readonly answerMs?: number;
  /** For all questions of one call, in milliseconds. */
  readonly callMs?: number;
  /** How long one is left alone after it has failed, in milliseconds. */
  readonly restMs?: number;
}

/** Questions under way at a time. */
const atOnce = 16;

/** Far above any narinfo. */
const maxBytes = 1024 * 1024;

/** The function resolves to those of the paths that one of the caches has. It never rejects. */
export function createPublicCaches(
  options: PublicCachesOptions,
): (paths: readonly string[]) => Promise<Set<string>> {
  const { urls, log, answerMs = 5_000, callMs = 30_000, restMs = 60_000 } = options;
  const restUntil = new Map<string, number>();

  const isIn = async (url: string, path: string, signal: AbortSignal): Promise<boolean> => {
    if (performance.now() < (restUntil.get(url) ?? 0)) return false;
    try {
      return await ask(url, path, AbortSignal.any([signal, AbortSignal.timeout(answerMs)]));
    } catch (error) {
      restUntil.set(url, performance.now() + restMs);
      log.debug(
        { url, reason: reasonOf(error) },
        "a cache can not be asked; what is built is queued meanwhile",
      );
      return false;
    }
  };
  const isInAny = async (path: string, signal: AbortSignal): Promise<boolean> => {
    for (const url of urls) if (await isIn(url, path, signal)) return true;
    return false;
  };

  return async (paths) => {
    const found = new Set<string>();
    if (urls.length === 0) return found;
    const signal = AbortSignal.timeout(callMs);
    for (let start = 0; start < paths.length; start += atOnce) {
      const some = paths.slice(start, start + atOnce);
      const answers = await Promise.all(some.map((path) => isInAny(path, signal)));
      some.forEach((path, index) => answers[index] === true && found.add(path));
    }
    return found;
  };
}

/** Rejects where the answer is neither yes nor no. */
async function ask(url: string, path: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(`${url}/${parseStorePath(path)?.hashPart}.narinfo`, { signal });
  // S3 says 403 of what is not there, where it may not be listed.
  if (response.status === 404 || response.status === 403 || response.status === 410) {
    await response.body?.cancel();
    return false;
  }
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxBytes) throw new Error("the answer is too long");
  }
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  // A captive portal says yes to everything.
  if (!text.split("\n").includes(`StorePath: ${path}`))
    throw new Error("the answer is no narinfo of that path");
  return true;
}

/** What `fetch` says of its own is that it has failed. */
function reasonOf(error: unknown): string {
  return messageOf((error as Error).cause ?? error);
}
