// Offers keys to sshd one by one and remembers what became of each, so that a failure can be told precisely.

import ssh2 from "ssh2";
import type {
  AnyAuthMethod,
  AuthHandlerMiddleware,
  ParsedKey,
  SignCallback,
  SigningRequestOptions,
} from "ssh2";
import { TetherError, messageOf } from "../util/errors.js";
import { signData, type SignFlags } from "./agent-protocol.js";
import type { Attempt } from "./auth-plan.js";
import type { Identities } from "./identities.js";

/** What happened so far. */
export interface AuthRecord {
  readonly offered: Attempt[];
  /** Keys that sshd would have taken, but for which the agent did not sign. */
  readonly unsigned: { readonly attempt: Attempt; readonly why: string }[];
  /** The methods that sshd takes, once it has said so. */
  methods: readonly string[] | null;
  /** sshd took a key and wants something else besides. */
  partial: boolean;
  /** A sentence on an agent that could not help, or null. */
  note: string | null;
}

export interface Authenticator {
  readonly handler: AuthHandlerMiddleware;
  readonly record: AuthRecord;
}

// A person may have to touch a token or type into a prompt.
export const SIGN_MS = 60_000;

/**
 * `onBusy` is told when it is not sshd that is waited for (true), but `identities` or the agent that works on a signature, and
 * when that is over (false). Where `identities` rejects, sshd is left waiting: the caller ends the session.
 */
export function createAuthenticator(
  user: string,
  identities: Promise<Identities>,
  onBusy: (busy: boolean) => void,
): Authenticator {
  const record: AuthRecord = { offered: [], unsigned: [], methods: null, partial: false, note: null };
  let queue: Attempt[] | null = null;
  let asked = false;
  const handler: AuthHandlerMiddleware = (methods, partial, next) => {
    // As ssh does, ask first which methods there are: ssh2 does not tell what it learns while it tries an agent's key.
    if (!asked) {
      asked = true;
      next("none");
      return;
    }
    record.methods = methods;
    record.partial ||= partial;
    onBusy(true);
    void identities.then(
      ({ attempts, note }) => {
        onBusy(false);
        record.note = note;
        queue ??= [...attempts];
        offer(methods.includes("publickey") ? queue.shift() : undefined, next);
      },
      () => undefined,
    );
  };
  const offer = (attempt: Attempt | undefined, next: Parameters<AuthHandlerMiddleware>[2]): void => {
    if (attempt === undefined) {
      // Declared only for methods, but false is how ssh2 is told that there are no more.
      (next as unknown as (method: false) => void)(false);
      return;
    }
    record.offered.push(attempt);
    next(
      methodFor(user, attempt, {
        onSigning: onBusy,
        // sshd asks only for keys that it would take, so a key that was signed with and still did not do is a part.
        onSigned: () => (record.partial = true),
        onRefused: (why) => record.unsigned.push({ attempt, why }),
      }),
    );
  };
  return { handler, record };
}

interface SignEvents {
  readonly onSigning: (busy: boolean) => void;
  readonly onSigned: () => void;
  readonly onRefused: (why: string) => void;
}

function methodFor(username: string, attempt: Attempt, events: SignEvents): AnyAuthMethod {
  if (attempt.kind === "agent") {
    return { type: "agent", username, agent: new AgentWithOneKey(attempt, events) };
  }
  // A parsed key passes where a key's text is declared.
  return { type: "publickey", username, key: attempt.key };
}

/** Shows ssh2 a single key, so that every offer is ours to order, count and name. */
class AgentWithOneKey extends ssh2.BaseAgent<ParsedKey> {
  readonly #attempt: Attempt & { kind: "agent" };
  readonly #events: SignEvents;

  constructor(attempt: Attempt & { kind: "agent" }, events: SignEvents) {
    super();
    this.#attempt = attempt;
    this.#events = events;
  }

  override getIdentities(callback: (error?: Error | null, keys?: ParsedKey[]) => void): void {
    callback(null, [this.#attempt.key]);
  }

  override sign(
    key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const answer = typeof options === "function" ? options : callback;
    const hash = typeof options === "function" ? undefined : options.hash;
    void this.#sign(key, data, flagsFor(key, hash)).then(
      (signature) => answer?.(null, signature),
      (error: Error) => answer?.(error),
    );
  }

  async #sign(key: ParsedKey, data: Buffer, flags: SignFlags): Promise<Buffer> {
    this.#events.onSigning(true);
    try {
      const signature = await signData(this.#attempt.socket, key.getPublicSSH(), data, flags, SIGN_MS);
      this.#events.onSigned();
      return signature;
    } catch (error) {
      this.#events.onRefused(messageOf(error));
      throw error;
    } finally {
      this.#events.onSigning(false);
    }
  }
}

function flagsFor(key: ParsedKey, hash: string | undefined): SignFlags {
  if (key.type !== "ssh-rsa") return 0;
  if (hash === "sha512") return 4;
  return hash === "sha256" ? 2 : 0;
}

/** Why sshd did not let the user in: `agent-refused` or `auth-failed`. */
export function authError(record: AuthRecord, login: string): TetherError {
  const { note } = record;
  const [refused] = record.unsigned;
  if (refused !== undefined) {
    return new TetherError(
      "agent-refused",
      `the agent did not sign with ${refused.attempt.label}, which ${login} would accept: ${refused.why}`,
      { remedy: "Confirm the agent's question, touch the token, or add the key again without -c (ssh-add)." },
    );
  }
  const keys = record.offered.map((attempt) => attempt.label).join(", ");
  const methods = record.methods?.join(", ") ?? "unknown";
  const why = record.partial
    ? `accepted a key but wants more than that (${methods})`
    : record.methods !== null && !record.methods.includes("publickey")
      ? `takes no keys (only ${methods})`
      : `accepted none of the keys offered: ${keys}`;
  return new TetherError("auth-failed", `${login} ${why}${note === null ? "" : `; ${note}`}`, {
    remedy: record.partial
      ? "Let sshd accept a key alone for this user (AuthenticationMethods publickey)."
      : `Put one of your public keys into the machine's authorized_keys (ssh-copy-id ${login}), or correct the user.`,
  });
}
