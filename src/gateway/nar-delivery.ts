// A NAR that survives the link: one run of bytes out of as many transfers as it takes, each going on where the one
// before it was cut.

import { fileOf, type OfferedPath } from "../protocol/offered-path.js";
import { TetherError, messageOf } from "../util/errors.js";
import { lookupPatience } from "./limits.js";
import { transferNar } from "./nar-transfer.js";
import type { ServedCache } from "./served-cache.js";
import type { Session } from "./session.js";
import type { Transfer } from "./transfer.js";

/** With these the store has spoken; everything else may be better at the next try. */
const final = new Set(["not-valid", "nar-changed", "nar-damaged", "nar-length", "busy"]);

/** Before the next try on an upstream that is still there, in milliseconds; doubled each time, up to a second. */
const firstPauseMs = 50;

/**
 * The bytes from `transfer.from` to the end; `transfer.at` moves on when one was taken. After a cut it waits for the next
 * upstream as long as `Reach` allows, and tries again on the same one where only the NAR's own connection broke. Throws what broke it last when it is given up, or the
 * signal's reason when the client has gone.
 */
export async function* deliverNar(
  cache: ServedCache,
  transfer: Transfer,
  client: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const { limits, now, stats, reach, log } = cache;
  let { info } = transfer;
  let session = reach.session;
  let brokeAt: number | null = null;
  let fruitless = 0;
  let cutAt: number | null = null;
  let resumed = false;
  const onArrival = (): void => {
    brokeAt = null;
  };
  const othersWait = (): boolean => waitersBeside(cache, transfer);
  const onFirstPiece = (): void => {
    const { at } = transfer;
    if (at > 0 && !resumed) {
      resumed = true;
      stats.resumed += 1;
    }
    if (cutAt !== null) log.info({ path: info.path, at, ms: Math.round(now() - cutAt) }, "NAR goes on");
    cutAt = null;
    transfer.waiting = false;
  };
  for (;;) {
    const began = transfer.at;
    try {
      if (session === null) throw new TetherError("upstream-lost", "the cache is away");
      if (began > 0) info = await confirm(cache, session, transfer);
      const request = { session, info, from: began, limits, now, onArrival, othersWait };
      for await (const piece of transferNar(request, client)) {
        if (transfer.at === began) onFirstPiece();
        yield piece;
        transfer.at += piece.length;
        stats.narBytes += piece.length;
        fruitless = 0;
      }
      return;
    } catch (error) {
      client.throwIfAborted();
      // What broke after the last byte broke nothing.
      if (transfer.at === fileOf(info).size && !isFinal(error)) return;
      // Nothing broke: it takes again, and the same upstream will do.
      if (error instanceof TetherError && error.code === "client-idle") continue;
      fruitless += 1;
      if (isFinal(error) || fruitless >= limits.narTries) throw error;
      if (transfer.at > began) {
        cutAt = now();
        transfer.waiting = true;
        log.info(
          { path: info.path, at: transfer.at, reason: messageOf(error) },
          "NAR cut; to go on when it can",
        );
      }
      const until = (brokeAt ??= now()) + limits.resumeMs;
      const next = await nextSession(cache, session, { until, fruitless }, client);
      client.throwIfAborted();
      if (next === null) throw error;
      session = next;
    }
  }
}

/** Whether another NAR has been waiting for its first byte for as long as a client may be idle. */
function waitersBeside({ transfers, wallNow, limits }: ServedCache, transfer: Transfer): boolean {
  const before = wallNow() - limits.clientIdleMs;
  return [...transfers].some(
    (other) => other !== transfer && other.at === other.from && other.since <= before,
  );
}

/** The session for the next try; null when there is none. */
async function nextSession(
  { reach, now }: ServedCache,
  broken: Session | null,
  { until, fruitless }: { until: number; fruitless: number },
  client: AbortSignal,
): Promise<Session | null> {
  if (broken !== null) {
    // A break of the link is noticed by its streams first.
    const pause = Math.min(1_000, firstPauseMs * 2 ** (fruitless - 1));
    await reach.change(broken, Math.min(until, now() + pause), client);
    if (reach.session === broken) return now() < until ? broken : null;
  }
  return reach.arrival(until, client);
}

/** What the cache says of the path now. Rejects unless it is the same file: one half of another one would be no use to Nix. */
async function confirm(
  cache: ServedCache,
  session: Session,
  { info, hashPart }: Transfer,
): Promise<OfferedPath> {
  const answer = await session.ask(hashPart, lookupPatience(cache.limits));
  switch (answer.kind) {
    case "found":
      if (isSameFile(answer.info, info)) return answer.info;
      throw new TetherError("nar-changed", `${info.path} is another one now`);
    case "absent":
      throw new TetherError("not-valid", `${info.path} is no longer there`);
    case "failed":
      throw new TetherError("lookup-failed", `${info.path}: ${answer.reason}`);
  }
}

/** Compressed in another way, or at another time, the same NAR is another file. */
function isSameFile(one: OfferedPath, other: OfferedPath): boolean {
  const [first, second] = [fileOf(one), fileOf(other)];
  return (
    one.narHash === other.narHash &&
    first.compression === second.compression &&
    first.hash === second.hash &&
    first.size === second.size
  );
}

function isFinal(error: unknown): boolean {
  return error instanceof TetherError && final.has(error.code);
}
