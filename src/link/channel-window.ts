// How much the machine may send on a channel before it hears from us again (RFC 4254, section 5.2). ssh2 has 2 MiB for every
// channel and tells of what was taken by the megabyte, which comes to one megabyte for each round trip: 50 MB/s at 20 ms,
// whatever the cable can. So here it is told sooner where the way is long, and the window grows where it is what limits the speed.

import type { ClientChannel } from "ssh2";

const MIB = 1024 * 1024;
/** What ssh2 begins with. */
const INITIAL_BYTES = 2 * MIB;
const MAX_BYTES = 8 * MIB;
/** What was taken is told of by this part of the window: each telling is a packet, but over a long way one that comes late stops all. */
const TOLD_PART_NEAR = 1 / 2;
const TOLD_PART = 1 / 4;
const NEAR_MS = 2;
/** A window that limits the speed is taken in one round trip, any other in many. */
const GROW_ROUND_TRIPS = 2;

/**
 * What the channels of one session share: the length of a round trip, and how much their windows may have beyond what they
 * began with, for a reader that stops leaves all of its window in memory.
 */
export class SessionWindows {
  #bytes: number;
  #roundTripMs = 0;

  constructor(bytes = 16 * MIB) {
    this.#bytes = bytes;
  }

  /** The shortest that was seen, in milliseconds; 0 before the first. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  /** A question was answered within so many milliseconds. */
  answered(ms: number): void {
    this.#roundTripMs = this.#roundTripMs === 0 ? ms : Math.min(this.#roundTripMs, ms);
  }

  /** Whether so much was left; it is taken then. */
  take(bytes: number): boolean {
    if (bytes > this.#bytes) return false;
    this.#bytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes += bytes;
  }
}

/** What ssh2 does not show of a channel. */
interface Inside {
  readonly readableLength: number;
  readonly incoming: { window: number };
  readonly outgoing: { readonly id: number; readonly state: string };
  readonly _client: {
    readonly _protocol: { channelWindowAdjust(channel: number, bytes: number): void };
  };
}

/** The window of one channel. Another ssh2 than we know keeps its own way. */
export class ChannelWindow {
  readonly #channel: Inside | null;
  readonly #session: SessionWindows;
  #bytes = INITIAL_BYTES;
  /** Of this window, and since when, on `performance.now()`'s clock. */
  #taken = 0;
  #since = performance.now();

  constructor(channel: ClientChannel, session: SessionWindows) {
    this.#channel = insideOf(channel);
    this.#session = session;
  }

  /** So many bytes have come out of the channel. */
  took(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < this.#bytes) return;
    const now = performance.now();
    const isLimit = now - this.#since < GROW_ROUND_TRIPS * this.#session.roundTripMs;
    if (isLimit && this.#bytes < MAX_BYTES && this.#session.take(this.#bytes)) this.#bytes *= 2;
    this.#taken = 0;
    this.#since = now;
  }

  /** Lets the machine send again what was taken. Only for a reader that wants more. */
  open(): void {
    const channel = this.#channel;
    if (channel === null || channel.outgoing.state === "closed") return;
    // What was sent and nobody has read yet counts as well: memory is bounded by the window.
    const missing = this.#bytes - channel.incoming.window - channel.readableLength;
    const part = this.#session.roundTripMs < NEAR_MS ? TOLD_PART_NEAR : TOLD_PART;
    if (missing < this.#bytes * part) return;
    channel.incoming.window += missing;
    const {
      _client: { _protocol: protocol },
    } = channel;
    protocol.channelWindowAdjust(channel.outgoing.id, missing);
  }

  /** The channel is of no more use. */
  close(): void {
    this.#session.giveBack(this.#bytes - INITIAL_BYTES);
    this.#bytes = INITIAL_BYTES;
  }
}

function insideOf(channel: ClientChannel): Inside | null {
  const { incoming, outgoing, _client: client, readableLength } = channel as unknown as Partial<Inside>;
  const { _protocol: protocol }: Partial<Inside["_client"]> = client ?? {};
  const isKnown =
    typeof readableLength === "number" &&
    typeof incoming?.window === "number" &&
    typeof outgoing?.id === "number" &&
    typeof protocol?.channelWindowAdjust === "function";
  return isKnown ? (channel as unknown as Inside) : null;
}
