// Everything that can happen to the daemon, as one union: sources and effects post these, one loop folds them.

import type { Endpoint } from "../link/link.js";
import type { Conditions } from "./conditions.js";
import type { NamedConnection, NetworkState } from "./netmon.js";

/** Why an attempt or a link ended: `code` is a TetherError's, `text` a sentence, `remedy` what to do. */
export interface Failure {
  readonly code: string;
  readonly text: string;
  readonly remedy: string | undefined;
}

/** What is known of a connection the moment it is usable. */
export interface Connection {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
}

/** Facts about one cache. `attempt` names the try that reports; a report of an older try is stale. */
export type CacheEvent =
  | { readonly type: "found"; readonly attempt: number; readonly endpoints: readonly Endpoint[] }
  | { readonly type: "absent"; readonly attempt: number; readonly text: string }
  /** `network` is as it was when the connection stood. */
  | {
      readonly type: "connected";
      readonly attempt: number;
      /** The index of the way that it goes. */
      readonly way: number;
      readonly connection: Connection;
      readonly network: NetworkState;
    }
  | { readonly type: "failed"; readonly attempt: number; readonly failure: Failure }
  | { readonly type: "closed"; readonly attempt: number; readonly failure: Failure }
  | { readonly type: "probed"; readonly attempt: number; readonly alive: boolean }
  | { readonly type: "news"; readonly kind: "announced" | "goodbye"; readonly endpoints: readonly Endpoint[] }
  | { readonly type: "due" }
  /** It may be listed now, or listed differently: nothing about the cache itself has changed. */
  | { readonly type: "relist" }
  | { readonly type: "pause" }
  | { readonly type: "resume" }
  /** A person asks for it, by whatever way. */
  | { readonly type: "connect" };

/** Facts about the machine we run on; each concerns every cache. */
export type HostEvent =
  | {
      readonly type: "network";
      readonly state: NetworkState;
      readonly connections: readonly NamedConnection[] | null;
      /** See `NetmonEvent`: addresses differ that are more than link-local. */
      readonly moved: boolean;
      readonly cause: string;
    }
  /** How the machine is connected and fed: it says nothing about a cache, but about sending much to it. */
  | { readonly type: "conditions"; readonly conditions: Conditions }
  | { readonly type: "sleep" }
  | { readonly type: "wake"; readonly cause: string }
  | { readonly type: "tick" }
  | { readonly type: "stop" };

/** What transitions take: a fact about this cache or about the machine. */
export type Fact = CacheEvent | HostEvent;
