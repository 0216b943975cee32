// What the caches tell of one path: what the gateway remembers of its latest answers, and what the machines say now.

import type { Config } from "../config/schema.js";
import type { CacheMemory, PresentAnswer } from "../control/path-memory.js";
import type { Gateway } from "../gateway/gateway.js";

/** Nix asks for the same path again at every command; older ones tell nobody more. */
const mostRequests = 50;

/** By the caches' names. Bounded as the gateway's lookups are; never rejects. */
export function createRemember(deps: {
  readonly caches: Config["caches"];
  readonly gateway: Pick<Gateway, "ask" | "recent">;
}): (hashPart: string) => Promise<Record<string, CacheMemory>> {
  const { caches, gateway } = deps;
  const memoryOf = async (
    name: string,
    hashPart: string,
    settings: Pick<Config["caches"][string], "priority" | "trusted">,
  ): Promise<CacheMemory> => {
    // Before the question of our own, which is not Nix's.
    const { since, answers } = gateway.recent(name, hashPart);
    const now = present(await gateway.ask(name, hashPart));
    return {
      priority: settings.priority,
      trusted: settings.trusted,
      since: iso(since),
      requests: answers.slice(0, mostRequests).map((answer) => ({ ...answer, at: iso(answer.at) })),
      now,
    };
  };
  return async (hashPart) => {
    const entries = Object.entries(caches).map(
      async ([name, cache]) => [name, await memoryOf(name, hashPart, cache)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  };
}

/** How its NAR comes is no business of who wants to know about the path. */
function present(answer: Awaited<ReturnType<Gateway["ask"]>>): PresentAnswer {
  if (answer === null) return { kind: "away" };
  if (answer.kind !== "found") return answer;
  const { file: _file, ...info } = answer.info;
  return { kind: "found", info };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
