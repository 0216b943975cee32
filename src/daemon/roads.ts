// The ways of the bytes to a web server: straight to one of its addresses, or as the machine of another cache opens them.

import type { Endpoint, SshLink } from "../link/link.js";
import { openTcp, type OpenStream } from "../upstream/http/road.js";
import { TetherError, messageOf } from "../util/errors.js";

/** The way of the bytes, and where it leads. */
export interface Road {
  readonly address: string;
  /** Known once a connection was opened. */
  localAddress(): string;
  readonly open: OpenStream;
  /** What it stands on; null for one that stands by itself. */
  readonly through: SshLink | null;
}

/** Straight to an address of `own`; to other hosts, where redirects lead, by whatever address answers. */
export function roadTo(
  endpoint: Endpoint,
  own: string,
  resolve: (host: string) => Promise<readonly Endpoint[]>,
): Road {
  let localAddress = "";
  return {
    address: endpoint.address,
    localAddress: () => localAddress,
    through: null,
    open: async (host, port) => {
      if (host === own) {
        const socket = await openTcp(endpoint.address, port);
        localAddress = socket.localAddress ?? "";
        return socket;
      }
      const others = await resolve(host);
      if (others.length === 0)
        throw new TetherError("no-connection", `the name ${host} does not resolve here`);
      const dials = others.map(
        ({ address }) =>
          async () =>
            openTcp(address, port),
      );
      return firstOf(dials, (late) => late.destroy());
    },
  };
}

/** As the machine of another cache opens connections. `name` is that cache's. */
export function roadThrough(link: SshLink, name: string): Road {
  return {
    address: link.address,
    localAddress: () => link.localAddress,
    through: link,
    open: async (host, port) => {
      try {
        return await link.openTcp(host, port);
      } catch (error) {
        throw new TetherError("via-refused", `${name} opens no connection to ${messageOf(error)}`, {
          remedy: /prohibited/.test(messageOf(error))
            ? "Allow it in that machine's sshd_config: AllowTcpForwarding yes, and PermitOpen where it is set."
            : "Check that the web server runs on that machine, at the address and port of the URL.",
          cause: error,
        });
      }
    },
  };
}

/**
 * The first that succeeds; `leave` takes those that come later. When none does, the failure that says most: one of a
 * server that answered.
 */
export async function firstOf<T>(tries: readonly (() => Promise<T>)[], leave: (late: T) => void): Promise<T> {
  const running = tries.map((begin) => begin());
  try {
    const first = await Promise.any(running);
    for (const one of running)
      one.then(
        (late) => void (late === first || leave(late)),
        () => undefined,
      );
    return first;
  } catch (error) {
    const errors = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
    throw errors.find((one) => !(one instanceof TetherError) || one.code !== "unreachable") ?? errors[0];
  }
}
