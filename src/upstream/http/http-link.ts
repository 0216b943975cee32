// An HTTP cache in use, for as long as its server answers. No connection stands for it: it is asked now and then when nothing
// else is heard of it, and at once when a request went wrong.

import { delay } from "../../util/abort.js";
import { TetherError, messageOf } from "../../util/errors.js";
import type { Upstream } from "../upstream.js";
import { checkCacheInfo } from "./cache-info.js";
import type { FileVersions } from "./file-versions.js";
import type { HttpClient } from "./http-client.js";
import { createHttpUpstream, defaultHttpLimits, type HttpLimits } from "./http-upstream.js";

export interface HttpLinkOptions {
  readonly client: HttpClient;
  /** Ends with a "/". */
  readonly base: URL;
  readonly versions: FileVersions;
  readonly onRefused: (error: TetherError | null) => void;
  readonly limits?: Partial<HttpLimits>;
  /** After so long without a word from the server it is asked; by default 15 s. */
  readonly heartbeatMs?: number;
  /** It is not asked more often than that, whatever goes wrong with requests; by default 1 s. */
  readonly pauseMs?: number;
}

/** See `CacheLink`. */
export interface HttpLink {
  openUpstream(): Upstream;
  probe(ms: number): Promise<boolean>;
  readonly closed: Promise<Error>;
  /** Ends it, with the reason that is told. Idempotent. */
  end(reason: Error): void;
}

/** How long the server has to answer when there is doubt, in milliseconds. */
const probeMs = 2_000;

/** A NAR that fills the link delays the answer: so many times as long, while bytes arrive. */
const busyPeriods = 3;

/** The cache has just been asked. */
export function openHttpLink(options: HttpLinkOptions): HttpLink {
  const { client, base, pauseMs = 1_000 } = options;
  /** The questions that are under way. */
  const questions = new Set<AbortController>();
  let ended = false;
  let lastHeard = performance.now();
  let answeredAt = lastHeard;
  let asking = false;
  let tell: (reason: Error) => void = () => undefined;
  const closed = new Promise<Error>((resolve) => (tell = resolve));

  const end = (reason: Error): void => {
    if (ended) return;
    ended = true;
    clearInterval(heartbeat);
    for (const question of questions) question.abort(reason);
    client.close();
    tell(reason);
  };
  /** Why it can not be used, or null. */
  const ask = async (ms: number): Promise<string | null> => {
    const question = new AbortController();
    questions.add(question);
    let periods = 1;
    const timer = setInterval(() => {
      if (periods < busyPeriods && performance.now() - lastHeard < ms) periods += 1;
      else question.abort(new TetherError("timeout", "no answer"));
    }, ms);
    try {
      await checkCacheInfo(client, base, question.signal);
      lastHeard = answeredAt = performance.now();
      return null;
    } catch (error) {
      return messageOf(error);
    } finally {
      questions.delete(question);
      clearInterval(timer);
    }
  };
  const doubt = async (): Promise<void> => {
    if (asking || ended) return;
    asking = true;
    client.dropIdle();
    await delay(Math.max(0, answeredAt + pauseMs - performance.now()));
    const problem = await ask(probeMs);
    asking = false;
    if (problem !== null) end(new TetherError("link-lost", `${base.host} no longer answers: ${problem}`));
  };
  const { heartbeatMs = 15_000 } = options;
  const heartbeat = setInterval(() => {
    if (performance.now() - lastHeard >= heartbeatMs) void doubt();
  }, heartbeatMs / 3);

  return {
    openUpstream: () =>
      createHttpUpstream({
        ...options,
        limits: { ...defaultHttpLimits, ...options.limits },
        onTrouble: () => void doubt(),
        onBytes: () => void (lastHeard = performance.now()),
      }),
    probe: async (ms) => (await ask(ms)) === null,
    closed,
    end,
  };
}
