// SIGKILL at any moment: nothing that was queued is lost, nothing that has arrived waits again, and what is left of the
// killed process does no harm to the next.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSpool } from "../../src/uploads/spool.js";
import { compileProgram, type Program } from "../support/compile.js";
import { createLinkRoots } from "../support/link-roots.js";
import { silentLog } from "../support/silent-log.js";
import { temporaryFolder } from "../support/temp-folder.js";

/** Two spools at a time, for most of a round is waiting. */
const lanes = 2;
const rounds = 25;
let program: Program;

beforeAll(async () => {
  program = await compileProgram("test/support/spool-runner.ts");
}, 60_000);

afterAll(() => program?.remove());

/** What the runner has said of one path. */
interface Said {
  readonly sending: Set<string>;
  readonly sent: Set<string>;
  dropping: boolean;
}

test(`${lanes * rounds} times killed`, { timeout: 180_000 }, async () => {
  const dirs = Array.from({ length: lanes }, () => path.join(temporaryFolder(), "spool"));
  await Promise.all(dirs.map(killAndCheck));
});

async function killAndCheck(dir: string): Promise<void> {
  const said = new Map<string, Said>();
  let worked = 0;
  for (let round = 0; round < rounds; round += 1) {
    const output = await runAndKill(dir, round);
    if (output.length > 1) worked += 1;
    for (const line of output) listen(said, line);

    const roots = createLinkRoots(path.join(dir, "roots"));
    const warnings: unknown[] = [];
    const warn = (_code: string, problem: unknown): void => void (problem !== null && warnings.push(problem));
    const spool = await openSpool({ dir, log: silentLog, targets: ["pi", "nas"], roots, warn });
    await spool.takeIn();
    expect(warnings).toEqual([]);
    expect(readdirSync(path.join(dir, "aside")), "unreadable files").toEqual([]);
    const left = readdirSync(path.join(dir, "incoming")).map((name) => path.join(dir, "incoming", name));
    expect(left.filter((file) => readFileSync(file, "utf8").endsWith("end\n"))).toEqual([]);
    const waits = new Map(spool.list().map((entry) => [entry.path, Object.keys(entry.targets)]));
    for (const [one, { sending, sent, dropping }] of said) {
      const where = waits.get(one) ?? [];
      for (const target of ["pi", "nas"]) {
        if (!dropping && !sending.has(target)) expect(where, `round ${round}: ${one}`).toContain(target);
        if (sent.has(target)) expect(where, `round ${round}: ${one}`).not.toContain(target);
      }
    }
    expect(await roots.held()).toEqual(expect.arrayContaining([...waits.keys()]));
    await roots.sweep(new Set(waits.keys()));
    expect(await roots.held()).toEqual([...waits.keys()].toSorted());
  }
  // Else it would show nothing.
  expect(worked).toBeGreaterThan(rounds / 2);
  expect(said.size).toBeGreaterThan(rounds);
}

function listen(said: Map<string, Said>, line: string): void {
  const [word = "", ...rest] = line.split(" ");
  const one = rest.at(-1) ?? "";
  if (word === "in") said.set(one, { sending: new Set(), sent: new Set(), dropping: false });
  const known = said.get(one);
  if (known === undefined) return;
  if (word === "sending") known.sending.add(rest[0] ?? "");
  if (word === "sent") known.sent.add(rest[0] ?? "");
  if (word === "dropping") known.dropping = true;
}

/** The lines that the runner said before it was killed, at most some 150 ms after it was ready. */
async function runAndKill(dir: string, round: number): Promise<string[]> {
  const child = spawn(process.execPath, [program.file, dir, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  await Promise.race([once(child.stdout, "data"), closed]);
  await sleep(Math.random() * 150);
  child.kill("SIGKILL");
  await closed;
  expect(child.signalCode).toBe("SIGKILL");
  return output.split("\n").slice(0, -1);
}
