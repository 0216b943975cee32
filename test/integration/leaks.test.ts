// After many lost links and many requests the daemon holds what it held before: no descriptor more, no memory more.
// The long form, 1,000 losses and 10,000 requests, takes some minutes:
//   LEAKS=long npx vitest run --project integration test/integration/leaks.test.ts

import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { compileProgram, type Program } from "../support/compile.js";
import { startCutProxy, type CutProxy } from "../support/cut-proxy.js";
import { eventually } from "../support/eventually.js";
import { ask } from "../support/http.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import { countDescriptors, HeapMeter, residentBytes } from "../support/process-usage.js";
import { makeKey, startSshd, type Sshd } from "../support/sshd.js";
import { makeTetherHome, type TetherHome } from "../support/tether-home.js";

const long = process.env["LEAKS"] === "long";
const losses = long ? 1_000 : 40;
const requestsPerLoss = long ? 10 : 25;
/** Fills the caches, the pools and the compiler's own memory. */
const warmUpLosses = long ? 40 : 5;

let program: Program;
let pi: NixStore;
let sshd: Sshd;
let proxy: CutProxy;
let heap: HeapMeter;
let home: TetherHome;
const small: string[] = [];
let big: string;

beforeAll(async () => {
  [program, pi, heap] = await Promise.all([compileProgram("src/main.ts"), makeStore(), HeapMeter.create()]);
  for (let n = 0; n < 8; n += 1) small.push(await pi.addFile(`small-${n}`, `small ${n}`));
  big = await pi.addFile("big", Buffer.alloc(2 * 2 ** 20, 7));
  const key = await makeKey(pi.dir, "user");
  const real = await startSshd({ authorizedKeys: [key.publicKey], env: pi.env });
  proxy = await startCutProxy(real, () => Infinity);
  const [hostKey] = real.hostKeys;
  sshd = {
    ...real,
    port: proxy.port,
    knownHostsLine: (name) => `[${name}]:${proxy.port} ${hostKey?.publicKey ?? ""}`,
  };
  const daemonSocket = await pi.listen();
  home = await makeTetherHome({ main: program.file, sshd, key, daemonSocket, nodeFlags: heap.flags });
  home.start();
  await home.untilListed();
});

afterAll(async () => {
  await home?.dispose();
  await proxy?.close();
  await sshd?.stop();
  await Promise.all([pi?.dispose(), program?.remove(), heap?.dispose()]);
});

test(
  `${losses} lost links and ${losses * requestsPerLoss} requests leave nothing behind`,
  { timeout: long ? 1_800_000 : 180_000 },
  async () => {
    onTestFailed(() => void process.stderr.write(home.log().slice(-4_000)));
    const { pid } = await home.command("status");
    await wear(warmUpLosses, "warm");
    const descriptors = await countDescriptors(pid);
    const [heapBefore, rssBefore] = [await heap.measure(pid), await residentBytes(pid)];

    await wear(losses, "worn");
    await eventually(
      "no more descriptors than before",
      async () => (await countDescriptors(pid)) <= descriptors,
    );
    const [heapAfter, rssAfter] = [await heap.measure(pid), await residentBytes(pid)];
    process.stderr.write(
      `${losses} losses, ${losses * requestsPerLoss} requests: descriptors ${descriptors} to ` +
        `${await countDescriptors(pid)}, heap ${mb(heapBefore)} to ${mb(heapAfter)}, resident ${mb(rssBefore)} to ${mb(rssAfter)}\n`,
    );
    expect((await home.command("status")).pid).toBe(pid);
    // What was denied is remembered for an hour, some hundred bytes each.
    expect(heapAfter - heapBefore).toBeLessThan(2 ** 20);
    expect(rssAfter - rssBefore).toBeLessThan(64 * 2 ** 20);
  },
);

/** Loses the link so many times, each time with requests of all kinds under way. */
async function wear(times: number, name: string): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const requests = Array.from({ length: requestsPerLoss }, (_, n) => makeRequest(n, `${name}${time}`));
    await sleep(time % 20);
    proxy.cut();
    await Promise.all(requests);
    await eventually("the link is back", async () => (await home.cache()).listed, 30_000);
  }
}

async function makeRequest(n: number, salt: string): Promise<void> {
  const path = small[n % small.length] ?? "";
  switch (n % 5) {
    case 0:
      return expectAnswer(narinfoOf(path));
    case 1:
      // Not there, and never asked for before.
      return expectAnswer(
        `${Buffer.from(`${salt}-${n}`).toString("hex").replace(/e/g, "z").padEnd(32, "0").slice(0, 32)}.narinfo`,
      );
    case 2:
      return expectAnswer(await narOf(path));
    case 3:
      return expectAnswer(await narOf(big));
    default:
      return abandon(await narOf(big));
  }
}

const narinfoOf = (path: string): string => `${path.slice(11, 43)}.narinfo`;
const nars = new Map<string, string>();

/** Where the NAR is, as the narinfo says; asked once, since Nix remembers it too. */
async function narOf(path: string): Promise<string> {
  const known = nars.get(path);
  if (known !== undefined) return known;
  const { body } = await ask(home.port, `/pi/0/${narinfoOf(path)}`);
  const url = /^URL: (.+)$/m.exec(body.toString())?.[1] ?? "";
  if (url !== "") nars.set(path, url);
  return url;
}

/** Whatever becomes of the link, the answer is a whole one. */
async function expectAnswer(name: string): Promise<void> {
  const { status, cut } = await ask(home.port, `/pi/0/${name}`);
  expect([200, 404]).toContain(status);
  expect(cut).toBe(false);
}

/** Begins to take a NAR, and goes away in the middle. */
function abandon(name: string): Promise<void> {
  return new Promise((resolve) => {
    const asking = request(
      { host: "127.0.0.1", port: home.port, path: `/pi/0/${name}`, agent: false },
      (response) => {
        response.on("error", () => undefined);
        response.once("data", () => asking.destroy());
      },
    );
    asking.on("error", () => undefined);
    asking.on("close", resolve);
    asking.end();
  });
}

function mb(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
