// The effects of one cache: the try that is under way, the link in use with what stands on it, and its timer.
// It follows `Desired`; it never decides.

import type { Desired } from "../decision/desired.js";
import type { openForward } from "../forward/local-socket.js";
import type { Gateway } from "../gateway/gateway.js";
import type { Logger } from "pino";
import type { Discovery, LookupTarget } from "../sources/discovery.js";
import type { CacheEvent } from "../sources/event.js";
import type { NetworkState } from "../sources/netmon.js";
import type { SshLink } from "../link/link.js";
import type { Upstream } from "../upstream/upstream.js";
import { attemptCache, toFailure, type Find, type Reached } from "./attempt.js";
import type { CacheLink } from "./cache-link.js";
import type { CacheWay } from "./cache-ways.js";
import type { Rechecks } from "./rechecks.js";
import type { LinkUploads } from "./uploads.js";

type Forward = Awaited<ReturnType<typeof openForward>>;

/** How long the cache has to answer when something suggests that it may be gone, in milliseconds. */
const probeMs = 2_000;

/** No rest is meant to be longer, in milliseconds. */
const longestRestMs = 10 * 60_000;

/** What one cache's effects need. */
export interface TetherDeps {
  /** The cache's. */
  readonly name: string;
  /** All of them, in the order of preference. */
  readonly ways: readonly CacheWay[];
  readonly find: Find;
  readonly discovery: Pick<Discovery, "watch">;
  readonly post: (fact: CacheEvent) => void;
  readonly log: Logger;
  readonly gateway: Gateway;
  readonly socketPath: string;
  readonly openForward: typeof openForward;
  /** Called when the gateway has the upstream: what was denied is asked for again. */
  readonly beginRechecks: () => Rechecks;
  /** Null where nothing is uploaded to this cache. */
  readonly uploads: LinkUploads | null;
  /** Raises or (null) clears the warning that the forward could not be opened. */
  readonly warnForward: (error: unknown) => void;
  readonly now: () => number;
  /** Reads the network as it is now. */
  readonly network: () => NetworkState;
}

/** One cache's effects. */
export interface Tether {
  /** Whether what stands on the link in use must go, for this wish. */
  leaves(wish: Desired): boolean;
  /** The SSH link in use, listed or not, or null. */
  ssh(): SshLink | null;
  /** The link of another cache that the one in use stands on, or null. */
  through(): SshLink | null;
  /** Takes down what is in use; the caller has unlisted it before. */
  takeDown(): Promise<void>;
  /** Starts or stops tries, probes and the timer, and brings a new link into use. */
  follow(wish: Desired): Promise<void>;
  /** The link in use, or null; from the moment it may be listed. */
  link(): CacheLink | null;
  /** Starts the uploads over the link in use, where its forward stands; the caller has listed it before. */
  startUploads(): void;
  close(): Promise<void>;
}

/** A link, and the number of the try that it comes from. */
interface Fresh extends Reached {
  readonly attempt: number;
}

interface InUse extends Fresh {
  readonly upstream: Upstream;
  readonly rechecks: Rechecks;
  forward: Forward | null;
  /** Whether the cache may be listed: it is known by which URL. */
  settled: boolean;
}

export function createTether(deps: TetherDeps): Tether {
  const { name, gateway, post } = deps;
  let running: { attempt: number; abort: AbortController } | null = null;
  /** A try is started once: its report may still be queued when the next wish comes. */
  let lastStarted = 0;
  let fresh: Fresh | null = null;
  let inUse: InUse | null = null;
  let probing = false;
  let timer: { at: number; handle: NodeJS.Timeout } | null = null;
  /** By the index of the way. */
  const watched = new Map<number, { target: LookupTarget; stop: () => void }>();

  const watch = (way: number, target: LookupTarget): void => {
    const before = watched.get(way);
    if (JSON.stringify(before?.target) === JSON.stringify(target)) return;
    before?.stop();
    const stop = deps.discovery.watch(target, (news) => post({ type: "news", ...news }));
    watched.set(way, { target, stop });
  };

  const start = (attempt: number, ways: readonly number[]): void => {
    const abort = new AbortController();
    lastStarted = attempt;
    running = { attempt, abort };
    const { find } = deps;
    void attemptCache(attempt, ways, { find, post, onTarget: watch }, abort.signal).then((reached) => {
      if (running?.attempt === attempt) running = null;
      if (reached === null) return;
      const { link, way } = reached;
      if (abort.signal.aborted) return link.close();
      fresh = { attempt, link, way };
      void link.closed.then((error) => post({ type: "closed", attempt, failure: toFailure(error) }));
      const { address, port, localAddress } = link;
      const connection = { address, port, localAddress };
      post({ type: "connected", attempt, way, connection, network: deps.network() });
    });
  };

  const probe = (using: InUse): void => {
    if (probing) return;
    probing = true;
    void using.link.probe(probeMs).then((alive) => {
      probing = false;
      post({ type: "probed", attempt: using.attempt, alive });
    });
  };

  const setTimer = (at: number | null): void => {
    if (timer?.at === at) return;
    if (timer !== null) clearTimeout(timer.handle);
    timer = null;
    if (at === null) return;
    const handle = setTimeout(
      () => {
        timer = null;
        post({ type: "due" });
      },
      // The bound counts where the clock was set back since `at` was decided.
      Math.min(longestRestMs, Math.max(0, at - deps.now())),
    );
    timer = { at, handle };
  };

  const bringUp = (from: Fresh): void => {
    const upstream = from.link.openUpstream();
    gateway.setUpstream(name, upstream);
    const rechecks = deps.beginRechecks();
    const using: InUse = { ...from, upstream, rechecks, forward: null, settled: false };
    inUse = using;
    if (rechecks.settled === null) using.settled = true;
    void rechecks.settled?.then(() => {
      using.settled = true;
      if (inUse === using) post({ type: "relist" });
    });
  };

  /** Opens the forward, and opens it anew where its socket was deleted, with the runtime folder perhaps. */
  const keepForward = async (using: InUse): Promise<void> => {
    const { ssh } = using.link;
    if (ssh === null || (await using.forward?.stands())) return;
    try {
      await using.forward?.close();
      using.forward = null;
      using.forward = await deps.openForward({
        path: deps.socketPath,
        openDaemon: () => ssh.openDaemon(),
        onSent: () => using.rechecks.uploaded(),
        log: deps.log,
      });
      deps.warnForward(null);
    } catch (error) {
      // Uploads need it, fetching does not: the cache is of use all the same.
      deps.warnForward(error);
      await deps.uploads?.stop();
    }
  };

  const takeDown = async (): Promise<void> => {
    const using = inUse;
    if (using === null) return;
    inUse = null;
    using.rechecks.end();
    // A copy that does not leave at once must not hold up the rest: it ends when the forward does.
    const stopped = deps.uploads?.stop();
    await using.forward?.close();
    gateway.setUpstream(name, null, { mayReturn: true });
    using.upstream.close();
    using.link.close();
    await stopped;
  };

  return {
    leaves: (wish) => inUse !== null && inUse.attempt !== wish.link,
    ssh: () => inUse?.link.ssh ?? null,
    through: () => inUse?.link.through ?? null,
    takeDown,
    link: () => (inUse?.settled === true ? inUse.link : null),
    startUploads: () => {
      const using = inUse;
      if (using?.settled !== true || using.forward === null || using.link.ssh === null) return;
      if (deps.ways[using.way]?.uploads !== true) return;
      deps.uploads?.start(using.link.ssh, () => using.forward?.sent ?? 0);
    },
    follow: async (wish) => {
      if (!wish.awaited) gateway.setUpstream(name, null, { mayReturn: false });
      if (running !== null && running.attempt !== wish.attempt) {
        running.abort.abort();
        running = null;
      }
      if (fresh !== null && fresh.attempt === wish.link) {
        bringUp(fresh);
        fresh = null;
      } else if (fresh !== null && fresh.attempt !== wish.attempt) {
        fresh.link.close();
        fresh = null;
      }
      if (inUse !== null) await keepForward(inUse);
      if (wish.attempt !== null && wish.attempt !== lastStarted) start(wish.attempt, wish.ways);
      if (wish.probe && inUse !== null) probe(inUse);
      setTimer(wish.wakeAt);
    },
    close: async () => {
      running?.abort.abort();
      fresh?.link.close();
      for (const { stop } of watched.values()) stop();
      setTimer(null);
      await takeDown();
    },
  };
}
