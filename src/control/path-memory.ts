// What the daemon tells of one store path: what its caches were lately asked about it, and whether they have it now.

/**
 * What a request came to. For a narinfo (whether a path is there): `told` as the machine says, or from memory while it could
 * not be asked; `absent` as the machine says; `away`, for there was no machine to ask; `failed`, for it gave no usable answer.
 * For a NAR (a path's content): `sent`; `cut` in the middle and given up; `left` by Nix; or said not to be there, for it was cut
 * a moment before, the machine was away, does not have it, or did not begin to send it.
 */
export type RequestOutcome =
  | "told"
  | "told-from-memory"
  | "absent"
  | "away"
  | "failed"
  | "sent"
  | "cut"
  | "left"
  | "cut-before"
  | "nar-away"
  | "nar-absent"
  | "nar-failed";

/** One request of Nix. Times are ISO 8601 in UTC. */
export interface PastRequest {
  at: string;
  outcome: RequestOutcome;
  /** In the URL of a request for a narinfo; null where it has none. */
  generation: number | null;
  /** Whether what was told carries neither a signature nor a content address. */
  unsigned: boolean;
  /** Bytes of the NAR that were passed on, and the length of all of it; 0 where there are none. */
  bytes: number;
  size: number;
}

/** What a machine tells of a path now. `away`: it can not be asked. */
export type PresentAnswer =
  | { kind: "found"; info: ToldPath }
  | { kind: "absent" }
  | { kind: "failed"; reason: string }
  | { kind: "away" };

/** A path as its store knows it. */
export interface ToldPath {
  path: string;
  /** SHA-256 of the NAR, 64 lower-case hexadecimal digits. */
  narHash: string;
  narSize: number;
  references: readonly string[];
  deriver: string | null;
  signatures: readonly string[];
  ca: string | null;
}

/** What one cache tells of a path. */
export interface CacheMemory {
  /** Nix asks lower ones first. */
  priority: number;
  /** Whether its unsigned paths are accepted. */
  trusted: boolean;
  /** Everything since then is remembered. */
  since: string;
  /** The newest first; at most 50. */
  requests: PastRequest[];
  now: PresentAnswer;
}
