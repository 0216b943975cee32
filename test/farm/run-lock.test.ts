import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { currentRun, takeRunLock } from "../../src/farm/run-lock.js";
import { temporaryFolder } from "../support/temp-folder.js";

test("one holds it, others learn who does, and after that it is free", async () => {
  const file = path.join(temporaryFolder(), "lock");
  expect(await currentRun(file)).toBeNull();
  const lock = await takeRunLock(file, 1_000);
  if (!("release" in lock)) throw new Error("somebody has it");
  expect(await takeRunLock(file, 2_000)).toMatchObject({ owner: { pid: process.pid, since: 1_000 } });
  expect(await currentRun(file)).toMatchObject({ pid: process.pid });
  await lock.release();
  expect(await currentRun(file)).toBeNull();
  const next = await takeRunLock(file, 3_000);
  expect(next).toHaveProperty("release");
  if ("release" in next) await next.release();
});

test("a process that has ended, or another one with its number, runs nothing", async () => {
  const file = path.join(temporaryFolder(), "lock");
  for (const owner of [
    { pid: 2 ** 30, since: 1, startTime: "1" },
    { pid: process.pid, since: 1, startTime: "1" },
  ]) {
    writeFileSync(file, JSON.stringify(owner));
    expect(await currentRun(file)).toBeNull();
    const lock = await takeRunLock(file, 2);
    if ("release" in lock) await lock.release();
    expect(lock).toHaveProperty("release");
  }
});
