// Commands on the machine, by a real sshd: their output and exit codes, and what ends them.

import { once } from "node:events";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RemoteProgram, SshLink } from "../../src/link/link.js";
import { makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import type { SshdOptions } from "../support/sshd.js";

let fixture: LinkFixture;
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

const connect = async (options: SshdOptions = {}): Promise<SshLink> =>
  fixture.connect(await fixture.sshd(options), { config: { transport: "stdio" } });

async function outputOf(program: RemoteProgram): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of program) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

test("a command's output, exit code and last words; its stdin is empty", async () => {
  const link = await connect();
  const program = await link.exec("cat; echo out; echo words >&2; exit 3");
  expect(await outputOf(program)).toBe("out\n");
  expect([program.exitCode, program.stderrTail]).toEqual([3, "words\n"]);
  const killed = await link.exec("kill -9 $$");
  await outputOf(killed);
  expect(killed.exitCode).toBeNull();
});

test("the output ends with the program, not with its stdout", async () => {
  const program = await (await connect()).exec("echo out; exec >&-; sleep 0.5; exit 4");
  expect(await outputOf(program)).toBe("out\n");
  expect(program.exitCode).toBe(4);
});

test("is taken no faster than it is read, and a program that nobody reads ends", async () => {
  const link = await connect();
  const program = await link.exec("echo $$ >&2; exec cat /dev/zero");
  await expect.poll(() => program.readableLength).toBeGreaterThan(0);
  await expect.poll(() => program.stderrTail).toMatch(/^\d+\n$/);
  program.destroy();
  const alive = async (): Promise<string> =>
    outputOf(await link.exec(`kill -0 ${program.stderrTail.trim()} 2>&1 || echo gone`));
  await expect.poll(alive, { timeout: 5_000 }).toContain("gone");
});

test("ends with the link", async () => {
  const link = await connect();
  const program = await link.exec("sleep 60");
  const failure = once(program, "error");
  link.close();
  expect(await failure).toMatchObject([{ code: "link-closed" }]);
  await expect(link.exec("true")).rejects.toMatchObject({ code: "link-closed" });
});

test("is refused at once where sshd has no session left, and leaves the daemon's streams alone", async () => {
  const link = await connect({ config: ["MaxSessions 2"] });
  const streams = [await link.openDaemon(), await link.openDaemon()];
  const begun = performance.now();
  await expect(link.exec("true")).rejects.toMatchObject({ code: "channel-failed" });
  expect(performance.now() - begun).toBeLessThan(500);
  for (const stream of streams) stream.destroy();
  expect(await link.probe(5_000)).toBe(true);
});
