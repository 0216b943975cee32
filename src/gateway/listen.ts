// Where the gateway listens: a port of its own on 127.0.0.1, or a socket that systemd holds for it.

import type http from "node:http";

import { TetherError, messageOf } from "../util/errors.js";
import { describePortHolder } from "./port-holder.js";

/** `port` 0 takes a free one; with `fd`, a listening socket that was passed to us, `port` says which it is. */
export type ListenOn = { readonly port: number } | { readonly fd: number; readonly port: number };

/** Connections that may wait to be accepted; the kernel's own bound is the same. 64 Nix commands come with 1,600. */
const backlog = 4_096;

/**
 * Listens, and resolves to the port. Rejects with code `gateway-port-taken`, saying who has the port if that can be told,
 * `gateway-port-held` when our user's systemd has it and did not pass it to us, or `gateway-listen`.
 */
export async function listen(server: http.Server, on: ListenOn): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      const where = "fd" in on ? { fd: on.fd } : { port: on.port, host: "127.0.0.1" };
      server.listen({ ...where, backlog }, () => {
        server.removeListener("error", reject);
        resolve();
      });
    });
  } catch (error) {
    throw await explain(error as NodeJS.ErrnoException, on.port);
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : on.port;
}

async function explain(error: NodeJS.ErrnoException, port: number): Promise<TetherError> {
  if (error.code !== "EADDRINUSE") {
    return new TetherError("gateway-listen", `cannot listen on 127.0.0.1:${port}: ${messageOf(error)}`, {
      remedy: "Choose another port with `port` under `[gateway]` in config.toml.",
      cause: error,
    });
  }
  const holder = await describePortHolder(port);
  const message = `port ${port} on 127.0.0.1 is in use by ${holder ?? "another process"}`;
  if (holder?.startsWith("systemd ")) {
    const remedy =
      "It is held for nix-tether by socket activation: run `systemctl --user restart nix-tether.service`.";
    return new TetherError("gateway-port-held", message, { remedy, cause: error });
  }
  const remedy =
    "Stop that process, or choose another port: `port` under `[gateway]` in config.toml, and `ListenStream=` in the socket units.";
  return new TetherError("gateway-port-taken", message, { remedy, cause: error });
}
