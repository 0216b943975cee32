import { expect, test } from "vitest";
import type { AgentSearch } from "../../src/link/agent.js";
import { noIdentity } from "../../src/link/identities.js";
import type { KeyFile } from "../../src/link/key-files.js";

const missing: AgentSearch = { state: "missing", tried: [] };
const encrypted: KeyFile = { state: "encrypted", file: "/home/ann/.ssh/id_ed25519", key: null };
const empty = (locked: boolean | null): AgentSearch => ({ state: "empty", socket: "/agent", locked });
const ready: AgentSearch = { state: "ready", socket: "/agent", keys: [] };

test.each<[string, AgentSearch, KeyFile[], boolean, string, string]>([
  ["no agent, no file", missing, [], false, "agent-missing", "Start an ssh-agent"],
  [
    "no agent, encrypted file",
    missing,
    [encrypted],
    false,
    "key-encrypted",
    "ssh-add /home/ann/.ssh/id_ed25519",
  ],
  ["agent switched off", { state: "off" }, [], false, "no-identity", "identity-file"],
  [
    "agent switched off, encrypted file",
    { state: "off" },
    [encrypted],
    false,
    "key-encrypted",
    "IdentityAgent none",
  ],
  ["empty agent", empty(false), [], false, "agent-empty", 'Run "ssh-add"'],
  ["empty agent, encrypted file", empty(false), [encrypted], false, "agent-empty", "ssh-add /home/ann"],
  ["empty or locked", empty(null), [], false, "agent-empty", "ssh-add -X"],
  ["locked agent", empty(true), [encrypted], false, "agent-locked", "ssh-add -X"],
  ["only unsupported keys", { state: "unusable", socket: "/agent" }, [], false, "agent-empty", "Ed25519"],
  ["IdentitiesOnly leaves none", ready, [], true, "no-identity", "IdentityFile"],
])("%s", (_name, agent, files, identitiesOnly, code, remedy) => {
  const error = noIdentity(agent, files, { identitiesOnly });
  expect(error.code).toBe(code);
  expect(error.remedy).toContain(remedy);
});
