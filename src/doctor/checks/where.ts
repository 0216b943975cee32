// What OpenSSH's configuration makes of the cache's host, where that is, and whether sshd answers there.

import { messageOf, TetherError } from "../../util/errors.js";
import type { Look } from "../check.js";
import { failure, ok, warning } from "../finding.js";
import { noKey } from "../host-key-offers.js";
import type { Machine } from "../machine.js";

/** By what an address was found. */
export const foundBy = {
  address: "as it stands in the configuration",
  mdns: "by multicast DNS",
  service: "by browsing the service",
  resolver: "by the system's resolver",
} as const;

export function sshConfigCheck(machine: Machine): Look {
  return async (signal) => {
    const { hostname, user, port, sshConfigRead } = await machine.settings(signal);
    const { host } = machine.config;
    const alias = hostname === host.toLowerCase() ? "" : `, for ${host} is an alias in ~/.ssh/config`;
    const text = `${user}@${hostname} port ${port}${alias}`;
    if (sshConfigRead) return ok(text);
    const missing = `${text}; there is no ssh in PATH, so ~/.ssh/config was not read`;
    return warning(missing, "Install OpenSSH's client programs (ssh, ssh-keygen).");
  };
}

export function nameCheck(machine: Machine): Look {
  return async (signal) => {
    const { endpoints, how } = await machine.located(signal);
    const { hostname } = await machine.settings(signal);
    const addresses = [...new Set(endpoints.map(({ address }) => address))];
    if (how === "address") return ok(`${hostname} is an address already`);
    return ok(`${hostname} is ${addresses.join(", ")}, ${foundBy[how]}`);
  };
}

export function sshdCheck(machine: Machine): Look {
  return async (signal) => {
    const keys = await machine.keys(signal).catch((error: unknown) => {
      signal.throwIfAborted();
      // It is known_hosts that could not be asked, which is only done for who has answered.
      return error instanceof TetherError ? null : Promise.reject(error as Error);
    });
    if (keys === null) return ok("answers");
    const { shown, mute, silent } = keys;
    if (shown.length === 0) {
      const error = noKey(machine, keys);
      return failure(messageOf(error), error.remedy ?? null);
    }
    const at = shown.map(({ address, port }) => `${address} port ${port}`).join(", ");
    const others = [...mute, ...silent].map(({ address, why }) => `${address} (${why})`);
    return ok(`answers at ${at}${others.length === 0 ? "" : `; not at ${others.join(", ")}`}`);
  };
}
