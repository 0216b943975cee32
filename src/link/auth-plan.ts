// Which keys are offered to sshd, in which order: a pure choice from what the agent and the key files hold.

import type { ParsedKey } from "ssh2";
import { printable } from "../util/printable.js";
import type { AgentKey } from "./agent.js";
import { fingerprint } from "./host-key.js";
import type { KeyFile } from "./key-files.js";

/** One key to offer. `label` names it for people: fingerprint, and comment or file. */
export type Attempt =
  | { readonly kind: "agent"; readonly key: ParsedKey; readonly socket: string; readonly label: string }
  | { readonly kind: "file"; readonly key: ParsedKey; readonly file: string; readonly label: string };

export interface PlanInput {
  readonly agent: { readonly socket: string; readonly keys: readonly AgentKey[] } | null;
  readonly files: readonly KeyFile[];
  readonly identitiesOnly: boolean;
  /** The cache's own configuration named the files, so they go before the agent's other keys. */
  readonly filesFirst: boolean;
}

// sshd hangs up at the sixth refusal (MaxAuthTries).
const MAX_ATTEMPTS = 6;

/**
 * As ssh does: first the agent's keys that an identity file names, then the agent's others (not with
 * IdentitiesOnly), then the files themselves. A file whose key the agent has is not used again.
 */
export function planAttempts(input: PlanInput): Attempt[] {
  const { agent, files } = input;
  const named = new Set(
    files.flatMap((file) => ("key" in file && file.key !== null ? [idOf(file.key)] : [])),
  );
  const agentAttempts = (agent?.keys ?? []).map(({ key, comment }): Attempt => ({
    kind: "agent",
    key,
    socket: agent?.socket ?? "",
    label: `${fingerprint(key.getPublicSSH())} (${comment === "" ? "agent" : `agent: ${printable(comment)}`})`,
  }));
  const held = new Set(agentAttempts.map((attempt) => idOf(attempt.key)));
  const fileAttempts = files.flatMap((file): Attempt[] => {
    if (file.state !== "usable" || held.has(idOf(file.key))) return [];
    const label = `${fingerprint(file.key.getPublicSSH())} (${file.file})`;
    return [{ kind: "file", key: file.key, file: file.file, label }];
  });
  const preferred = agentAttempts.filter((attempt) => named.has(idOf(attempt.key)));
  const others = input.identitiesOnly ? [] : agentAttempts.filter((attempt) => !named.has(idOf(attempt.key)));
  if (input.filesFirst) return [...preferred, ...fileAttempts, ...others].slice(0, MAX_ATTEMPTS);
  // Many keys in the agent must not leave a file without its try.
  const room = Math.max(1, MAX_ATTEMPTS - fileAttempts.length);
  return [...[...preferred, ...others].slice(0, room), ...fileAttempts].slice(0, MAX_ATTEMPTS);
}

function idOf(key: ParsedKey): string {
  return key.getPublicSSH().toString("base64");
}
