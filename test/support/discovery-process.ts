// A discovery running in a network namespace, as a test sees it.

import { once } from "node:events";
import { createInterface } from "node:readline";

import type { LookupResult, LookupTarget, News } from "../../src/sources/discovery.js";
import type { Command } from "./discovery-runner.js";
import { eventually } from "./eventually.js";
import type { Namespace } from "./netns.js";

/** A lookup's result and how many milliseconds it took. */
export type TimedResult = LookupResult & { readonly ms: number };

/** See `startDiscovery`. */
export interface DiscoveryProcess {
  lookup(target: LookupTarget): Promise<TimedResult>;
  watch(target: LookupTarget): Promise<void>;
  refresh(options?: { readonly force?: boolean }): Promise<void>;
  /** All news so far. */
  readonly news: readonly News[];
  /** Waits for news, among those from index `from` on. */
  nextNews(fits: (news: News) => boolean, from?: number): Promise<News>;
  /** What was logged and what came on stderr, for a failing test's message. */
  readonly log: readonly string[];
  /** Closes it and waits for its end; rejects if it left something open or ended with an error. */
  finish(): Promise<void>;
}

/** Starts the compiled runner (`discovery-runner.ts`) in a namespace. */
export function startDiscovery(
  namespace: Namespace,
  file: string,
  options: { readonly loopback?: boolean } = {},
): DiscoveryProcess {
  const child = namespace.spawn(process.execPath, file, ...(options.loopback === true ? ["loopback"] : []));
  const answers = new Map<number, (answer: object) => void>();
  const news: News[] = [];
  const log: string[] = [];
  let lastId = 0;

  createInterface({ input: child.stdout! }).on("line", (line) => {
    const message = JSON.parse(line) as { id?: number; news?: News };
    if (message.news !== undefined) news.push(message.news);
    else if (message.id !== undefined) answers.get(message.id)?.(message);
    else log.push(line);
  });
  createInterface({ input: child.stderr! }).on("line", (line) => log.push(line));

  const send = async (command: Omit<Command, "id"> & object): Promise<object> => {
    lastId += 1;
    const id = lastId;
    let answer: object | undefined;
    answers.set(id, (message) => (answer = message));
    child.stdin!.write(`${JSON.stringify({ ...command, id })}\n`);
    await eventually(
      `an answer to ${JSON.stringify(command)}; ${log.join("\n")}`,
      () => answer !== undefined,
      20_000,
    );
    return answer!;
  };

  return {
    lookup: async (target) => (await send({ op: "lookup", target } as Omit<Command, "id">)) as TimedResult,
    watch: async (target) => void (await send({ op: "watch", target } as Omit<Command, "id">)),
    refresh: async ({ force = false } = {}) =>
      void (await send({ op: "refresh", force } as Omit<Command, "id">)),
    news,
    nextNews: async (fits, from = 0) => {
      await eventually("news that fit", () => news.slice(from).some(fits), 15_000).catch((error: unknown) => {
        throw new Error(`${String(error)}: ${JSON.stringify(news.slice(from))}\n${log.join("\n")}`);
      });
      return news.slice(from).find(fits)!;
    },
    log,
    finish: async () => {
      const ended = once(child, "exit");
      child.stdin!.end();
      const [code] = (await ended) as [number | null];
      if (code !== 0) throw new Error(`the discovery ended with ${code}: ${log.join("\n")}`);
    },
  };
}
