// When to try again: a plain table per kind of failure, exponential with a cap, with jitter so that many
// laptops do not knock in step when one machine returns.

import type { Failure } from "../sources/event.js";

interface Schedule {
  /** Milliseconds before the second try. */
  readonly first: number;
  /** No delay is longer than this many milliseconds (before jitter). */
  readonly cap: number;
}

/** Not seen: one multicast question each, and the machine announces itself when it comes. */
const absent: Schedule = { first: 1_000, cap: 30_000 };
/** Seen, but the connection failed: sshd restarting, an address that just went away. */
const unreachable: Schedule = { first: 500, cap: 30_000 };
/** The agent has no key yet: looking costs nothing on the network, and the user has just typed `ssh-add`. */
const agent: Schedule = { first: 5_000, cap: 10_000 };
/** Refused by the far side: only a person changes that, and sshd must not be hammered. */
const refused: Schedule = { first: 15_000, cap: 300_000 };

/** In use by another way: there is no hurry, and the machine announces itself when it comes. */
const betterWay: Schedule = { first: 30_000, cap: 300_000 };

const schedules: Readonly<Record<string, Schedule>> = {
  absent,
  "better-way": betterWay,
  "agent-missing": agent,
  "agent-empty": agent,
  "agent-locked": agent,
  "agent-refused": refused,
  "no-identity": agent,
  "auth-failed": refused,
  "host-key-unknown": refused,
  "host-key-changed": refused,
  "host-key-revoked": refused,
  "key-encrypted": refused,
  "identity-missing": refused,
  "proxy-unsupported": refused,
  "ssh-keygen-missing": refused,
  "http-auth": refused,
  "http-no-cache": refused,
  "bad-redirect": refused,
  certificate: refused,
  "certificates-unreadable": refused,
  "netrc-unreadable": refused,
  "no-tls": refused,
};

/** After a refusal, milliseconds until small signs are followed: mischief may make them all day. */
export const signPause = 5_000;

/** Whether the far side refused us, so that it must not be asked often. */
export function isRefusal(code: Failure["code"]): boolean {
  return schedules[code] === refused;
}

/** Up to this share of the delay is added or taken away. */
const jitter = 0.2;

/**
 * Milliseconds to wait after the `tries`-th failure in a row (1 is the first).
 * `random` is in [0, 1), injected so that the decision stays pure.
 */
export function retryDelay(code: Failure["code"], tries: number, random: number): number {
  const { first, cap } = schedules[code] ?? unreachable;
  const plain = Math.min(cap, first * 2 ** Math.min(tries - 1, 20));
  return Math.round(plain * (1 + jitter * (2 * random - 1)));
}
