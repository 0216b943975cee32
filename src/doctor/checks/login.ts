// Which keys there are on both sides, whether they open the door, and whether a nix-daemon stands behind it.

import { messageOf } from "../../util/errors.js";
import { runTool } from "../../util/run-tool.js";
import type { Identities } from "../../link/identities.js";
import type { Look } from "../check.js";
import { failure, ok, warning, type Finding } from "../finding.js";
import { findHostKeyOffers } from "../host-key-offers.js";
import type { Machine } from "../machine.js";

const systemctlMs = 2_000;

/**
 * `asService` is the same machine, looked at without what only this shell has in its environment: a service of the user's
 * will not have it.
 */
export function agentCheck(machine: Machine, asService: Machine, env: NodeJS.ProcessEnv): Look {
  return async (signal) => {
    const found = await machine.identities(signal);
    const socket = env["SSH_AUTH_SOCK"] ?? "";
    if (socket !== "" && (await hasUserManager(env, signal))) {
      const there = await asService.identities(signal).catch((error: unknown) => {
        signal.throwIfAborted();
        return messageOf(error);
      });
      if (typeof there === "string") {
        return warning(
          `${inWords(found)}; but only this shell knows of the agent at ${socket}, and the service will not find it`,
          "`systemctl --user import-environment SSH_AUTH_SOCK` and `systemctl --user restart nix-tether`, or name the socket as identity-agent.",
        );
      }
    }
    return ok(inWords(found));
  };
}

function inWords({ attempts, note }: Identities): string {
  const [first, ...others] = attempts.map(({ label }) => label);
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `${first}${more}${note === null ? "" : `; ${note}`}`;
}

async function hasUserManager(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<boolean> {
  const options = { env, ms: systemctlMs, signal };
  const result = await runTool("systemctl", ["--user", "show-environment"], options).catch(() => null);
  signal.throwIfAborted();
  return result?.code === 0;
}

export function hostKeyCheck(machine: Machine): Look {
  return async (signal) => {
    const { known, offers } = await findHostKeyOffers(machine, signal);
    if (known !== null) return ok(`${known} is known`);
    const seen = offers.map(({ described, addresses }) => `${described} at ${addresses.join(", ")}`);
    return failure(
      `no known_hosts file has the host key of ${offers[0]?.name}: ${seen.join("; ")}`,
      `Compare the fingerprint and confirm it: \`nix-tether trust ${machine.name}\``,
    );
  };
}

export function loginCheck(machine: Machine): Look {
  return async (signal) => {
    const { login, error } = await machine.reached(signal);
    if (login === null) return failure(messageOf(error), error?.remedy ?? null);
    const { user } = await machine.settings(signal);
    return ok(`${user} is let in with ${login.key}`);
  };
}

export function transportCheck(machine: Machine): Look {
  return async (signal) => {
    const { link, error } = await machine.reached(signal);
    if (link === null) return failure(messageOf(error), error?.remedy ?? null);
    return ok(
      link.transport === "socket"
        ? `socket: sshd forwards to ${machine.linkConfig.remoteSocket}`
        : "stdio: sshd runs nix-daemon --stdio",
    );
  };
}

/**
 * `reached` gives the machine by a way that has led to it; `signs` tells whether anything on this machine signs what is
 * uploaded.
 */
export function farNixCheck(
  reached: () => Machine | null,
  options: { readonly uploads: boolean; readonly signs: (signal: AbortSignal) => Promise<boolean> },
): Look {
  return async (signal): Promise<Finding> => {
    const link = (await reached()?.reached(signal))?.link;
    const { nixVersion = null, protocol = 0, trusted = null } = link?.daemon ?? {};
    const version = nixVersion === null ? "an old Nix" : `Nix ${nixVersion}`;
    const trust =
      trusted === null
        ? "does not say whether it trusts this login"
        : `${trusted ? "trusts" : "does not trust"} this login`;
    const text = `${version}, protocol ${protocol >> 8}.${protocol & 0xff}; it ${trust}`;
    if (trusted !== false || !options.uploads || (await options.signs(signal))) return ok(text);
    return warning(
      `${text}, so it takes only signed paths, and nothing here signs what is uploaded`,
      "Make a key (`nix key generate-secret --key-name laptop-1`), name its file as uploads.signing-key, and its public half in that machine's trusted-public-keys.",
    );
  };
}
