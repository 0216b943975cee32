import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import type { MostFrequent } from "../../bench/world/timer-watch.js";
import { compileProgram } from "../support/compile.js";
import { temporaryFolder } from "../support/temp-folder.js";

const script = `
import { setTimeout as fromNode } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
function often() { fromNode(often, 20); }
function seldom() { setInterval(() => undefined, 90); }
const once = setTimeout(() => undefined, 1);
often();
seldom();
await sleep(400);
process.kill(process.pid, "SIGUSR2");
await sleep(50);
process.exit(typeof once.ref === "function" ? 0 : 1);
`;

test("names the timer that goes off most often", async () => {
  const watch = await compileProgram("bench/world/timer-watch.ts");
  onTestFinished(() => watch.remove());
  const program = join(temporaryFolder(), "timers.mjs");
  await writeFile(program, script);
  const { stderr } = await promisify(execFile)(process.execPath, ["--import", watch.file, program]);
  const { timers } = JSON.parse(stderr) as { timers: MostFrequent };
  expect(timers?.site).toMatch(/^at .*often .*timers\.mjs:4:/);
  expect(timers?.everySeconds).toBeGreaterThanOrEqual(0.02);
});
