// Makes an authenticated SSH session out of one TCP connection: host key, then login, within a deadline.

import type { Socket } from "node:net";
import ssh2 from "ssh2";
import type { Client } from "ssh2";
import { TetherError } from "../util/errors.js";
import { brief } from "./brief.js";
import { authError, createAuthenticator, SIGN_MS } from "./authenticator.js";
import type { Dialled } from "./dial.js";
import {
  fingerprint,
  hostKeyAlgorithms,
  hostKeyError,
  judgeHostKey,
  type HostKeySubject,
} from "./host-key.js";
import type { Ciphers } from "./ciphers.js";
import type { Identities } from "./identities.js";
import type { KnownKey } from "./known-hosts.js";
import { KEEPALIVE_MS } from "./liveness.js";

/** A session that is ready for channels. `socket` is closed to end it: ssh2's own `end` waits for a dead peer. */
export interface Session {
  readonly client: Client;
  readonly socket: Socket;
  /** Names the key that sshd took; `none` where it asked for none. */
  readonly key: string;
  /** The host key's fingerprint. */
  readonly hostKey: string;
  /** What our bytes are encrypted with. */
  readonly cipher: string;
}

export interface SessionOptions {
  readonly user: string;
  readonly known: readonly KnownKey[];
  /** In the order in which they are asked for. */
  readonly ciphers: Ciphers;
  /** Awaited when sshd wants to see a key, for looking for an agent takes as long as agreeing on session keys. */
  readonly identities: Promise<Identities>;
  readonly subject: HostKeySubject;
  /** `user@host`, for messages. */
  readonly login: string;
  readonly signal: AbortSignal;
}

// Key exchange and login take a Raspberry Pi well below a second.
const READY_MS = 6_000;

/** `final` tells that the machine is the right one, so that trying its other addresses would not help. */
export class SessionError extends Error {
  readonly reason: TetherError;
  readonly final: boolean;

  constructor(reason: TetherError, final: boolean) {
    super(reason.message, { cause: reason });
    this.name = "SessionError";
    this.reason = reason;
    this.final = final;
  }
}

/** Takes over the socket. Rejects with a SessionError, as `identities`, or with the signal's reason; the socket is closed then. */
export function openSession(dialled: Dialled, options: SessionOptions): Promise<Session> {
  const { socket } = dialled;
  const { known, identities, subject, signal } = options;
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    const at = `${dialled.address} port ${dialled.port}`;
    let settled = false;
    let verified = false;
    let hostKey = "";
    let cipher = "";
    let denied: TetherError | null = null;
    let timer: NodeJS.Timeout;

    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      act();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        reject(error as Error);
        socket.destroy();
      });
    const failWith = (code: string, message: string, remedy?: string): void =>
      fail(new SessionError(new TetherError(code, message, { remedy }), verified));
    const onAbort = (): void => fail(signal.reason);
    const watch = (ms: number): void => {
      clearTimeout(timer);
      timer = setTimeout(
        () =>
          failWith(
            "ssh-timeout",
            `${at} accepted the connection, but SSH was not ready after ${ms / 1000} s`,
          ),
        ms,
      );
    };

    const auth = createAuthenticator(options.user, identities, (busy) => {
      if (!settled) watch(busy ? SIGN_MS : READY_MS);
    });
    identities.catch(fail);
    const onError = (error: Error & { level?: string; code?: unknown }): void => {
      // The authenticator has noted it, and ssh2 goes on with the next key.
      if (error.level === "agent") return;
      if (denied !== null) fail(new SessionError(denied, false));
      else if (auth.record.methods !== null && isRefusal(error)) {
        fail(new SessionError(authError(auth.record, options.login), true));
      } else failWith("ssh-failed", `SSH with ${at}: ${brief(error.message)}`);
    };
    // ssh2 may report one failure twice, and a later one at any time.
    client.on("error", onError);
    // Comes after the host has proved that it holds the private half of its key.
    client.on("handshake", (agreed) => {
      verified = true;
      cipher = agreed.cs.cipher;
    });
    client.on("close", () => failWith("ssh-failed", `${at} closed the connection before SSH was ready`));
    client.on("ready", () => {
      const key = auth.record.offered.at(-1)?.label ?? "none";
      settle(() => resolve({ client, socket, key, hostKey, cipher }));
    });

    signal.addEventListener("abort", onAbort, { once: true });
    watch(READY_MS);
    if (signal.aborted) return onAbort();
    if (socket.destroyed) return failWith("ssh-failed", `${at} closed the connection at once`);
    client.connect({
      sock: socket,
      username: options.user,
      authHandler: auth.handler,
      readyTimeout: 0,
      // ssh2 only sends; whether the link is alive is judged by what arrives (liveness.ts).
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: Number.MAX_SAFE_INTEGER,
      // Servers other than OpenSSH may forward to sockets too; those that do not simply refuse.
      strictVendor: false,
      algorithms: { serverHostKey: hostKeyAlgorithms(known), cipher: [...options.ciphers] },
      // Called again at every rekeying. Anything but a literal false would be taken as consent.
      hostVerifier: (key: Buffer): boolean => {
        const verdict = judgeHostKey(known, key);
        hostKey = fingerprint(key);
        if (verdict === "known") return true;
        denied = hostKeyError(verdict, key, known, subject);
        return false;
      },
    });
  });
}

/** sshd's "Too many authentication failures" comes as a disconnect, whose code is a number. */
function isRefusal(error: { level?: string; code?: unknown }): boolean {
  return error.level === "client-authentication" || typeof error.code === "number";
}
