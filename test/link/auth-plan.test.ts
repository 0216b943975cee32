import ssh2 from "ssh2";
import type { ParsedKey } from "ssh2";
import { describe, expect, test } from "vitest";
import type { AgentKey } from "../../src/link/agent.js";
import { planAttempts, type PlanInput } from "../../src/link/auth-plan.js";
import { newKeyPair } from "../../src/demo/embedded-pi.js";
import type { KeyFile } from "../../src/link/key-files.js";

function makeKeys(count: number): ParsedKey[] {
  return Array.from({ length: count }, () => {
    const key = ssh2.utils.parseKey(newKeyPair().privateKey);
    if (key instanceof Error) throw key;
    return key;
  });
}

const keys = makeKeys(9);
const at = (index: number): ParsedKey => keys[index] as ParsedKey;
const inAgent = (...indexes: number[]): { socket: string; keys: AgentKey[] } => ({
  socket: "/agent",
  keys: indexes.map((index) => ({ key: at(index), comment: `a${index}` })),
});
const usable = (index: number): KeyFile => ({ state: "usable", file: `/f${index}`, key: at(index) });

function plan(input: Partial<PlanInput>): string[] {
  const attempts = planAttempts({
    agent: null,
    files: [],
    identitiesOnly: false,
    filesFirst: false,
    ...input,
  });
  return attempts.map((attempt) => `${attempt.kind} ${keys.indexOf(attempt.key)}`);
}

describe("planAttempts", () => {
  test("the agent's keys that a file names, its others, then files", () => {
    expect(plan({ agent: inAgent(1, 2), files: [usable(2), usable(3)] })).toEqual([
      "agent 2",
      "agent 1",
      "file 3",
    ]);
  });

  test("an encrypted file's public half names an agent key", () => {
    const files: KeyFile[] = [
      { state: "encrypted", file: "/f2", key: at(2) },
      { state: "encrypted", file: "/f4", key: null },
      { state: "missing", file: "/f5" },
    ];
    expect(plan({ agent: inAgent(1, 2), files })).toEqual(["agent 2", "agent 1"]);
    expect(plan({ agent: inAgent(1, 2), files, identitiesOnly: true })).toEqual(["agent 2"]);
    expect(plan({ agent: inAgent(1), files, identitiesOnly: true })).toEqual([]);
  });

  test("configured files come before keys that nobody named", () => {
    expect(plan({ agent: inAgent(1, 2), files: [usable(3)], filesFirst: true })).toEqual([
      "file 3",
      "agent 1",
      "agent 2",
    ]);
  });

  test("never more than sshd's six tries, and a file gets one of them", () => {
    const agent = inAgent(0, 1, 2, 3, 4, 5, 6);
    expect(plan({ agent })).toHaveLength(6);
    const withFile = plan({ agent, files: [usable(8)] });
    expect(withFile).toHaveLength(6);
    expect(withFile.at(-1)).toBe("file 8");
  });

  test("labels name the key, never show it", () => {
    const [attempt] = planAttempts({
      agent: null,
      files: [usable(3)],
      identitiesOnly: false,
      filesFirst: false,
    });
    expect(attempt?.label).toMatch(/^SHA256:[A-Za-z0-9+/]{43} \(\/f3\)$/);
  });
});
