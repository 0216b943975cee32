// Asks machines for their host keys without logging in, as far as the key exchange: for who wants to know whether the
// machine is known, or to make it known.

import ssh2 from "ssh2";
import type { ServerHostKeyAlgorithm } from "ssh2";
import { TetherError } from "../util/errors.js";
import { brief } from "./brief.js";
import { dial, type Dialled, type DialFailure } from "./dial.js";
import { hostKeyAlgorithms, judgeHostKey, type HostKeyVerdict } from "./host-key.js";
import { findKnownKeys, type KnownKey } from "./known-hosts.js";
import type { Endpoint } from "./link.js";
import type { SshSettings } from "./ssh-config.js";
import { portFor } from "./login.js";

/** What one address has shown. */
export interface ShownKey {
  readonly address: string;
  readonly port: number;
  /** In wire form. */
  readonly key: Buffer;
  readonly verdict: HostKeyVerdict;
  /** What known_hosts says of the name, with this port. */
  readonly known: readonly KnownKey[];
}

export interface ShownKeys {
  readonly shown: readonly ShownKey[];
  /** Addresses that accept connections, and do not speak SSH. */
  readonly mute: readonly DialFailure[];
  /** Addresses that do not answer. */
  readonly silent: readonly DialFailure[];
}

/** In our order of preference. */
export const hostKeyKinds = ["ed25519", "ecdsa", "rsa"] as const;
type HostKeyKind = (typeof hostKeyKinds)[number];

const algorithmsOf: Readonly<Record<HostKeyKind, readonly ServerHostKeyAlgorithm[]>> = {
  ed25519: ["ssh-ed25519"],
  ecdsa: ["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"],
  rsa: ["rsa-sha2-512", "rsa-sha2-256"],
};

export interface ShownKeysArgs {
  readonly settings: SshSettings;
  readonly endpoints: readonly Endpoint[];
  /** By default what a link asks for: the kinds that are known, then Ed25519, ECDSA, RSA. sshd shows one key only. */
  readonly kind?: HostKeyKind;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

const KEY_MS = 6_000;

/** Rejects as `findKnownKeys` does, and with the signal's reason. */
export async function askForHostKeys(args: ShownKeysArgs): Promise<ShownKeys> {
  const { settings, signal } = args;
  const targets = args.endpoints.map((endpoint) => ({ endpoint, port: portFor(settings, endpoint) }));
  const silent: DialFailure[] = [];
  const mute: DialFailure[] = [];
  const asking: Promise<ShownKey[]>[] = [];
  const ask = async (dialled: Dialled): Promise<ShownKey[]> => {
    const { address, port } = dialled;
    try {
      const known = await findKnownKeys(settings, port, args);
      const algorithms = args.kind === undefined ? hostKeyAlgorithms(known) : algorithmsOf[args.kind];
      const key = await receiveKey(dialled, algorithms, args);
      return [{ address, port, key, known, verdict: judgeHostKey(known, key) }];
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TetherError) || error.code !== "ssh-failed") throw error;
      mute.push({ address, port, why: error.message });
      return [];
    } finally {
      dialled.socket.destroy();
    }
  };
  for await (const dialled of dial(targets, { signal, onFailure: (failure) => silent.push(failure) })) {
    const answer = ask(dialled);
    // It is awaited when the others have answered.
    answer.catch(() => undefined);
    asking.push(answer);
  }
  return { shown: (await Promise.all(asking)).flat(), mute, silent };
}

/** Rejects with code `ssh-failed`, or the signal's reason. */
function receiveKey(
  { socket }: Dialled,
  algorithms: readonly ServerHostKeyAlgorithm[],
  { settings, signal }: ShownKeysArgs,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const fail = (why: string): void => finish(() => reject(new TetherError("ssh-failed", why)));
    const onAbort = (): void => finish(() => reject(signal.reason as Error));
    const timer = setTimeout(() => fail(`no host key within ${KEY_MS / 1000} s`), KEY_MS);
    client.on("error", (error) => fail(brief(error.message)));
    client.on("close", () => fail("it closed the connection"));
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) return onAbort();
    client.connect({
      sock: socket,
      username: settings.user,
      readyTimeout: 0,
      strictVendor: false,
      algorithms: { serverHostKey: [...algorithms] },
      hostVerifier: (key: Buffer): boolean => {
        finish(() => resolve(Buffer.from(key)));
        // Nothing more is wanted of it.
        return false;
      },
    });
  });
}
