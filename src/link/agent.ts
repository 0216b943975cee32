// Finds the user's ssh-agent. A user service often has no SSH_AUTH_SOCK, so the user manager's environment and the
// usual sockets are looked at too; the first agent that shows a key wins.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import ssh2 from "ssh2";
import type { ParsedKey } from "ssh2";
import { messageOf } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";
import { listIdentities, refusesBinding } from "./agent-protocol.js";

/** A place where an agent may listen, and who says so. */
export interface AgentCandidate {
  readonly socket: string;
  readonly source: string;
}

/** A key of an agent, of a type that ssh2 can use. */
export interface AgentKey {
  readonly key: ParsedKey;
  readonly comment: string;
}

/** What was found. `socket` is the agent meant: for `empty` and `locked`, the first such one. */
export type AgentSearch =
  | { readonly state: "ready"; readonly socket: string; readonly keys: readonly AgentKey[] }
  /** `locked` is true where it refuses what an empty one grants, null where that cannot be told. */
  | { readonly state: "empty"; readonly socket: string; readonly locked: boolean | null }
  /** It has keys, but none of a type that ssh2 can use (hardware-backed and certificate keys). */
  | { readonly state: "unusable"; readonly socket: string }
  | { readonly state: "missing"; readonly tried: readonly string[] }
  /** ssh_config says `IdentityAgent none`. */
  | { readonly state: "off" };

/** What decides where to look. */
export interface AgentPlaces {
  /** What the cache's configuration or ssh_config's IdentityAgent says: a socket, `none`, or null. */
  readonly setting: string | null;
  readonly env: NodeJS.ProcessEnv;
}

const AGENT_MS = 3_000;
const SYSTEMCTL_MS = 2_000;

/** Below `$XDG_RUNTIME_DIR`: OpenSSH's units of several distributions, GnuPG, GNOME's keyring and gcr. */
const usualSockets: readonly string[] = [
  "ssh-agent.socket",
  "ssh-agent",
  "openssh_agent",
  "gcr/ssh",
  "keyring/ssh",
  "keyring/.ssh",
  "gnupg/S.gpg-agent.ssh",
];

/**
 * The places that someone has named, in order. An explicit setting stands alone, as in ssh: keys of another agent
 * than the one asked for must not be shown to a host.
 */
export function namedPlaces(places: AgentPlaces): { candidates: AgentCandidate[]; guess: boolean } | "off" {
  if (places.setting === "none") return "off";
  if (places.setting !== null) {
    return { candidates: [{ socket: places.setting, source: "as configured" }], guess: false };
  }
  const socket = places.env["SSH_AUTH_SOCK"] ?? "";
  return { candidates: socket === "" ? [] : [{ socket, source: "SSH_AUTH_SOCK" }], guess: true };
}

/** The places to look at when nobody has named one, or what was named shows no key. */
export function guessedPlaces(managerVariables: string, runtimeDir: string): AgentCandidate[] {
  const line = /^SSH_AUTH_SOCK=(.+)$/m.exec(managerVariables)?.[1];
  const socket = line === undefined ? "" : unquote(line.trim());
  const usual = usualSockets.map((name) => ({ socket: join(runtimeDir, name), source: "the usual places" }));
  return socket === "" ? usual : [{ socket, source: "the user manager's SSH_AUTH_SOCK" }, ...usual];
}

/** Asks one agent after the other. Never rejects but with the signal's reason. */
export async function findAgent(places: AgentPlaces, signal: AbortSignal): Promise<AgentSearch> {
  const named = namedPlaces(places);
  if (named === "off") return { state: "off" };
  const tried: string[] = [];
  let second: AgentSearch | null = null;
  const tryEach = async (
    candidates: readonly AgentCandidate[],
    own: boolean,
  ): Promise<AgentSearch | null> => {
    for (const { socket, source } of candidates) {
      signal.throwIfAborted();
      if (own && !(await isOwnSocket(socket))) continue;
      const answer = await askAgent(socket);
      if (typeof answer === "string") tried.push(`${socket} (${source}): ${printableReason(answer)}`);
      else if (answer.state === "ready") return answer;
      else second ??= answer;
    }
    return null;
  };
  const found = await tryEach(named.candidates, false);
  if (found !== null) return found;
  if (named.guess) {
    const runtimeDir = places.env["XDG_RUNTIME_DIR"] ?? `/run/user/${process.getuid?.() ?? 0}`;
    const guessed = guessedPlaces(await managerEnvironment(places.env, signal), runtimeDir);
    const asked = new Set(named.candidates.map((candidate) => candidate.socket));
    const ready = await tryEach(
      guessed.filter((candidate) => !asked.has(candidate.socket)),
      true,
    );
    if (ready !== null) return ready;
  }
  return second ?? { state: "missing", tried };
}

async function askAgent(socket: string): Promise<AgentSearch | string> {
  try {
    const identities = await listIdentities(socket, AGENT_MS);
    if (identities.length === 0) return { state: "empty", socket, locked: await isLocked(socket) };
    const keys = identities.flatMap(({ blob, comment }): AgentKey[] => {
      const key = ssh2.utils.parseKey(blob);
      return key instanceof Error ? [] : [{ key, comment }];
    });
    return keys.length === 0 ? { state: "unusable", socket } : { state: "ready", socket, keys };
  } catch (error) {
    return messageOf(error);
  }
}

/** GnuPG's agent has no lock of this kind and refuses every extension. */
async function isLocked(socket: string): Promise<boolean | null> {
  if (socket.includes("gpg-agent")) return null;
  return await refusesBinding(socket, AGENT_MS).catch(() => null);
}

async function managerEnvironment(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const options = { env, ms: SYSTEMCTL_MS, signal };
  const result = await runTool("systemctl", ["--user", "show-environment"], options).catch(() => null);
  signal.throwIfAborted();
  return result?.stdout ?? "";
}

/** A socket that was only guessed at must belong to this user: who owns it sees what is signed. */
async function isOwnSocket(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => null);
  return stats?.isSocket() === true && stats.uid === process.getuid?.();
}

/** systemctl quotes a value with unusual characters as `$'…'`. */
function unquote(value: string): string {
  return /^\$'(.*)'$/.exec(value)?.[1]?.replace(/\\(.)/g, "$1") ?? value;
}

function printableReason(text: string): string {
  return text.includes("ENOENT") ? "no such socket" : text;
}
