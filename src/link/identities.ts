// Gathers what the user can log in with, and says what to do when that is nothing.

import type { Logger } from "pino";
import { TetherError } from "../util/errors.js";
import { findAgent, type AgentSearch } from "./agent.js";
import { planAttempts, type Attempt } from "./auth-plan.js";
import { readKeyFile, type KeyFile } from "./key-files.js";
import type { SshSettings } from "./ssh-config.js";

/** Keys to offer in order, never none; `note` is a sentence on an agent that could not help, or null. */
export interface Identities {
  readonly attempts: readonly Attempt[];
  readonly note: string | null;
}

/**
 * Looks for an agent and reads the key files. Rejects with `identity-missing` for a configured file that is not
 * there or cannot be used, and, when there is no key at all to offer, with `key-encrypted`, `agent-locked`,
 * `agent-empty`, `agent-missing` or `no-identity`.
 */
export async function gatherIdentities(
  settings: SshSettings,
  deps: { env: NodeJS.ProcessEnv; signal: AbortSignal; log: Logger },
): Promise<Identities> {
  const [agent, files] = await Promise.all([
    findAgent({ setting: settings.identityAgent, env: deps.env }, deps.signal),
    Promise.all(settings.identityFiles.map(readKeyFile)),
  ]);
  for (const file of files) {
    if (file.state === "unreadable") deps.log.warn({ file: file.file, why: file.why }, "key file not usable");
  }
  const attempts = planAttempts({
    agent: agent.state === "ready" ? agent : null,
    files,
    identitiesOnly: settings.identitiesOnly,
    filesFirst: settings.identityFilesConfigured,
  });
  if (settings.identityFilesConfigured) refuseMissing(files);
  if (attempts.length > 0) return { attempts, note: agentTrouble(agent)?.message ?? null };
  throw noIdentity(agent, files, settings);
}

function refuseMissing(files: readonly KeyFile[]): void {
  for (const file of files) {
    if (file.state === "missing") {
      throw new TetherError("identity-missing", `the configured key file ${file.file} does not exist`, {
        remedy: "Correct identity-file in the configuration, or take it out to use the agent's keys.",
      });
    }
    if (file.state === "unreadable") {
      throw new TetherError("identity-missing", `the configured key file ${file.file}: ${file.why}`, {
        remedy: "identity-file must name a private key in a format that OpenSSH writes.",
      });
    }
  }
}

/** Why there is nothing to log in with. */
export function noIdentity(
  agent: AgentSearch,
  files: readonly KeyFile[],
  settings: Pick<SshSettings, "identitiesOnly">,
): TetherError {
  const encrypted = files.find((file) => file.state === "encrypted")?.file;
  const add = `Run "ssh-add${encrypted === undefined ? "" : ` ${encrypted}`}"`;
  const trouble = agentTrouble(agent, add);
  if (agent.state === "ready") {
    return new TetherError(
      "no-identity",
      settings.identitiesOnly
        ? "IdentitiesOnly is set, and the agent has none of the keys that the identity files name"
        : "there is no key to log in with",
      { remedy: `${add}, or correct IdentityFile in ~/.ssh/config.` },
    );
  }
  if (encrypted !== undefined && (agent.state === "missing" || agent.state === "off")) {
    return new TetherError(
      "key-encrypted",
      `the key ${encrypted} is encrypted, and there is no agent to unlock it`,
      {
        remedy:
          agent.state === "off"
            ? `Take "IdentityAgent none" out of ~/.ssh/config, start an ssh-agent and run "ssh-add ${encrypted}".`
            : `Start an ssh-agent as a user service and run "ssh-add ${encrypted}".`,
      },
    );
  }
  return (
    trouble ??
    new TetherError("no-identity", "ssh_config says IdentityAgent none, and no key file can be used", {
      remedy: "Name an unencrypted key with identity-file, or an agent with identity-agent.",
    })
  );
}

/** What is wrong with the agent, or null when it is well or not wanted. */
function agentTrouble(agent: AgentSearch, add = 'Run "ssh-add"'): TetherError | null {
  switch (agent.state) {
    case "ready":
    case "off":
      return null;
    case "missing":
      return new TetherError(
        "agent-missing",
        agent.tried.length === 0
          ? "no ssh-agent was found (SSH_AUTH_SOCK is not set here, nor do the usual sockets exist)"
          : `no ssh-agent answers: ${agent.tried.join("; ")}`,
        {
          remedy: `Start an ssh-agent as a user service, then: ${add}. Or name its socket with identity-agent.`,
        },
      );
    case "unusable":
      return new TetherError(
        "agent-empty",
        `the ssh-agent at ${agent.socket} holds only keys of unsupported types`,
        {
          remedy: `${add} with an Ed25519, ECDSA or RSA key.`,
        },
      );
    case "empty":
      if (agent.locked === true) {
        return new TetherError(
          "agent-locked",
          `the ssh-agent at ${agent.socket} is locked (it shows no keys and refuses other requests too)`,
          { remedy: `Run "ssh-add -X" to unlock it. If it was never locked: ${add}.` },
        );
      }
      return new TetherError(
        "agent-empty",
        `the ssh-agent at ${agent.socket} ${agent.locked === false ? "holds no keys" : "is empty or locked"}`,
        {
          remedy:
            agent.locked === false ? `${add}.` : `${add}; if it is locked, unlock it first (ssh-add -X).`,
        },
      );
  }
}
