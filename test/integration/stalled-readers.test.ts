// Readers of NARs who take nothing: what they cost is bounded, nobody else waits for them for long, and one who takes
// again after all gets every byte.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { withDeadline } from "../../src/util/abort.js";
import { compileProgram, type Program } from "../support/compile.js";
import { eventually } from "../support/eventually.js";
import { ask } from "../support/http.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import { HeapMeter, residentBytes } from "../support/process-usage.js";
import { makeKey, startSshd, type Sshd } from "../support/sshd.js";
import { makeTetherHome, type TetherHome } from "../support/tether-home.js";

/** More than there are connections for NARs. */
const readers = 24;
/** More than all buffers on the way hold of one NAR. */
const bytes = 32e6;

let program: Program;
let pi: NixStore;
let sshd: Sshd;
let heap: HeapMeter;
let home: TetherHome;
let big: string;
let small: string;

beforeAll(async () => {
  [program, pi, heap] = await Promise.all([compileProgram("src/main.ts"), makeStore(), HeapMeter.create()]);
  big = await pi.addFile("big", Buffer.alloc(bytes, 7));
  small = await pi.addFile("small", Buffer.alloc(100_000, 7));
  const key = await makeKey(pi.dir, "user");
  sshd = await startSshd({ authorizedKeys: [key.publicKey], env: pi.env });
  const daemonSocket = await pi.listen();
  home = await makeTetherHome({ main: program.file, sshd, key, daemonSocket, nodeFlags: heap.flags });
  home.start();
  await home.untilListed();
});

afterAll(async () => {
  await home?.dispose();
  await sshd?.stop();
  await Promise.all([pi?.dispose(), program?.remove(), heap?.dispose()]);
});

test(`${readers} who take nothing`, { timeout: 120_000 }, async () => {
  onTestFailed(() => void process.stderr.write(home.log().slice(-4_000)));
  const { pid } = await home.command("status");
  const [bigUrl, smallUrl] = [await narOf(big), await narOf(small)];
  const [residentBefore, heapBefore] = [await residentBytes(pid), await heap.measure(pid)];

  const stalled = Array.from({ length: readers }, () => begin(bigUrl));
  await Promise.race(stalled.map((reader) => reader.response));
  const began = performance.now();
  expect((await ask(home.port, `/pi/0/${narinfoOf(small)}`)).status).toBe(200);
  expect(performance.now() - began).toBeLessThan(4_000);
  expect(await ask(home.port, smallUrl)).toMatchObject({ status: 200, cut: false });
  expect(performance.now() - began).toBeLessThan(20_000);

  const responses = await Promise.all(stalled.map((reader) => reader.response));
  expect(responses.map(({ statusCode }) => statusCode)).toEqual(responses.map(() => 200));
  // 8 MB for each connection, and a heap snapshot's own.
  const resident = (await residentBytes(pid)) - residentBefore;
  await eventually(
    "nothing is held for readers who take nothing",
    async () => (await heap.measure(pid)) - heapBefore < 10e6,
    20_000,
  );
  process.stderr.write(`${readers} readers who take nothing: ${Math.round(resident / 1e6)} MB more\n`);
  expect(resident).toBeLessThan(200e6);

  const [first] = responses;
  const { sha256, size } = await pi.dump(big);
  expect(await take(first as IncomingMessage)).toEqual({ sha256, size });
  expect((await home.cache()).resumed).toBe(1);
  for (const reader of stalled) reader.stop();
});

/** One who begins to ask for a NAR and reads no byte of it. */
interface Reader {
  readonly response: Promise<IncomingMessage>;
  stop(): void;
}

function begin(name: string): Reader {
  const asking = request({ host: "127.0.0.1", port: home.port, path: name, agent: false });
  asking.on("error", () => undefined);
  const response = once(asking, "response").then(([answer]) => {
    (answer as IncomingMessage).on("error", () => undefined).pause();
    return answer as IncomingMessage;
  });
  asking.end();
  return {
    response: withDeadline(response, 60_000, "a NAR's head"),
    stop: () => void asking.destroy(),
  };
}

async function take(response: IncomingMessage): Promise<{ sha256: string; size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    hash.update(piece);
    size += piece.length;
  }
  return { sha256: hash.digest("hex"), size };
}

const narinfoOf = (path: string): string => `${path.slice(11, 43)}.narinfo`;

async function narOf(path: string): Promise<string> {
  const { body } = await ask(home.port, `/pi/0/${narinfoOf(path)}`);
  return `/pi/0/${/^URL: (.+)$/m.exec(body.toString())?.[1] ?? ""}`;
}
