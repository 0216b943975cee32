// A NAR over a link that breaks: real sshd and nix-daemon, a network that is cut again and again, and one HTTP response.

import { createHash, randomBytes } from "node:crypto";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openGateway, type Gateway } from "../../src/gateway/gateway.js";
import type { SshLink, Transport } from "../../src/link/link.js";
import { nix32FromHex } from "../../src/protocol/nix32.js";
import type { PathInfo } from "../../src/protocol/path-info.js";
import { createDaemonUpstream } from "../../src/upstream/daemon-upstream.js";
import { startCutProxy, type CutProxy } from "../support/cut-proxy.js";
import { ask } from "../support/http.js";
import { makeLinkFixture, HOST, type LinkFixture } from "../support/link-fixture.js";
import { makeStore, type NixStore } from "../support/nix-store.js";
import type { Sshd, SshdOptions } from "../support/sshd.js";

const run = promisify(execFile);
const log = pino({ level: "silent" });
const megabyte = 2 ** 20;
const size = 64 * megabyte;

let fixture: LinkFixture;
let big: string;
let info: PathInfo;
let narPath: string;
let publicKey: string;

let gateway: Gateway;
let proxy: CutProxy;
let stopped: boolean;
let links: SshLink[];
let commands: number;

beforeAll(async () => {
  fixture = await makeLinkFixture();
  const { store } = fixture;
  big = await store.addFile("big", randomBytes(size));
  publicKey = await store.sign("pi-1", big);
  const upstream = createDaemonUpstream({ openDaemon: async () => store.openDaemon(), log });
  info = (await upstream.queryByHashPart(big.slice(11, 43), new AbortController().signal)) as PathInfo;
  upstream.close();
  narPath = `/pi/nar/${big.slice(11, 43)}-${nix32FromHex(info.narHash)}.nar`;
  // The store's files do not lie where its paths say, and the daemon alone knows of that.
  await mkdir(join(fixture.dir, "pi-bin"));
  const script = `#!/bin/sh\n[ "$1" = --dump ] && exec /usr/bin/nix-store --dump "${store.physical("")}$2"\nexit 1\n`;
  await writeFile(join(fixture.dir, "pi-bin", "nix-store"), script);
  await chmod(join(fixture.dir, "pi-bin", "nix-store"), 0o755);
});

afterAll(() => fixture.dispose());

beforeEach(async () => {
  gateway = await openGateway({ caches: [{ name: "pi", priority: 30 }], listen: { port: 0 }, log });
  stopped = false;
  links = [];
  commands = 0;
});

afterEach(async () => {
  stopped = true;
  for (const link of links) link.close();
  await gateway.close(0);
  await proxy.close();
  await fixture.endTest();
});

interface Pi {
  /** How many bytes each connection may carry, in turn; the last one counts for all others. */
  readonly limits: readonly number[];
  readonly transport: Transport;
  readonly sshd?: SshdOptions;
}

/** Connects as the daemon does, and again whenever the link has ended. */
async function tether({ limits, transport, sshd: options }: Pi): Promise<Sshd> {
  const env = { ...fixture.store.env, PATH: `${join(fixture.dir, "pi-bin")}:${process.env["PATH"] ?? ""}` };
  const sshd = await fixture.sshd({ env, ...options });
  let turn = 0;
  proxy = await startCutProxy(sshd, () => limits[Math.min(turn++, limits.length - 1)] ?? Infinity);
  await fixture.know(`[${HOST}]:${proxy.port} ${sshd.hostKeys[0]?.publicKey}`);
  const keep = async (): Promise<void> => {
    while (!stopped) {
      const link = await fixture.connect(proxy, { config: { transport } }).catch(() => null);
      if (link === null) {
        await sleep(50);
        continue;
      }
      links.push(link);
      const upstream = createDaemonUpstream({
        openDaemon: () => link.openDaemon(),
        exec: (command) => {
          commands += 1;
          return link.exec(command);
        },
        log,
      });
      gateway.setUpstream("pi", upstream);
      await link.closed;
      gateway.setUpstream("pi", null, { mayReturn: true });
      upstream.close();
    }
  };
  void keep();
  await expect.poll(() => links.length, { timeout: 10_000 }).toBe(1);
  return sshd;
}

/** The NAR as one response; `onBytes` is told how many have come, and may hold the rest up. */
function fetchNar(onBytes: (count: number) => void | Promise<void> = () => undefined) {
  return new Promise<{ status: number; sha256: string; count: number }>((resolve, reject) => {
    const options = { host: "127.0.0.1", port: gateway.port, path: narPath, agent: false };
    const take = async (response: http.IncomingMessage): Promise<void> => {
      const hash = createHash("sha256");
      let count = 0;
      for await (const piece of response as AsyncIterable<Buffer>) {
        hash.update(piece);
        count += piece.length;
        await onBytes(count);
      }
      resolve({ status: response.statusCode ?? 0, sha256: hash.digest("hex"), count });
    };
    http.get(options, (response) => void take(response).catch(reject)).on("error", reject);
  });
}

const whole = (): object => ({ status: 200, sha256: info.narHash, count: info.narSize });
const restricted = (options: string): SshdOptions => ({
  authorizedKeys: [`${options} ${fixture.key.publicKey}`],
});

describe("one response, over", () => {
  test.each<Transport>(["socket", "stdio"])("a link (%s) that dies every 6 MB", async (transport) => {
    await tether({ transport, limits: [6 * megabyte] });
    expect(await fetchNar()).toEqual(whole());
    expect(proxy.cuts).toBeGreaterThanOrEqual(10);
    // Nothing was sent twice but what was on its way.
    expect(commands).toBeGreaterThanOrEqual(9);
    expect(gateway.stats("pi")).toMatchObject({ resumed: 1, narBytes: info.narSize });
  });

  test.each<[Transport, string]>([
    ["socket", 'restrict,port-forwarding,command="/bin/false"'],
    ["stdio", 'restrict,command="nix-daemon --stdio"'],
  ])("a link (%s) that is cut, where no command may be run (%s)", async (transport, options) => {
    const limits = [20 * megabyte, 40 * megabyte, Infinity];
    await tether({ transport, limits, sshd: restricted(options) });
    expect(await fetchNar()).toEqual(whole());
    expect(proxy.cuts).toBe(2);
    expect(gateway.stats("pi")).toMatchObject({ resumed: 1, narBytes: info.narSize });
  });

  test("the death of the far nix-daemon's own process", async () => {
    await tether({ transport: "socket", limits: [Infinity] });
    let killed = 0;
    const answer = await fetchNar(async (count) => {
      if (count < 16 * megabyte || killed > 0) return;
      for (const pid of await daemonWorkers()) {
        process.kill(pid, "SIGKILL");
        killed += 1;
      }
    });
    expect(killed).toBeGreaterThan(0);
    expect(answer).toEqual(whole());
    expect(links).toHaveLength(1);
    expect(gateway.stats("pi").resumed).toBe(1);
  });

  test("a machine that freezes, and every lookup is answered within two seconds", async () => {
    const sshd = await tether({ transport: "socket", limits: [Infinity] });
    const known = `/pi/${big.slice(11, 43)}.narinfo`;
    expect((await ask(gateway.port, known)).status).toBe(200);
    const looking: Promise<readonly [status: number, ms: number]>[] = [];
    const look = async (path: string): Promise<readonly [number, number]> => {
      const begun = performance.now();
      const { status } = await ask(gateway.port, path);
      return [status, performance.now() - begun];
    };
    const answer = await fetchNar(async (count) => {
      if (count < 16 * megabyte || looking.length > 0) return;
      await sshd.kill("SIGSTOP");
      const unknown = [..."bcdfghijk"].map((letter) => `/pi/${letter.repeat(32)}.narinfo`);
      looking.push(...[known, ...unknown].map(look));
      setTimeout(() => void sshd.kill("SIGCONT"), 4_000);
    });
    const answers = await Promise.all(looking);
    expect(answers.map(([status]) => status)).toEqual([200, ...Array.from({ length: 9 }, () => 404)]);
    for (const [, ms] of answers) expect(ms).toBeLessThan(2_700);
    expect(answer).toEqual(whole());
  });

  test("an absence, several NARs at once", async () => {
    await tether({ transport: "socket", limits: [Infinity] });
    let away = false;
    const onBytes = async (count: number): Promise<void> => {
      if (count < 8 * megabyte || away) return;
      away = true;
      proxy.cut({ refuse: true });
      await sleep(1_000);
      proxy.allow();
    };
    const answers = await Promise.all([fetchNar(onBytes), fetchNar(), fetchNar()]);
    for (const answer of answers) expect(answer).toEqual(whole());
    expect(proxy.cuts).toBe(1);
  });
});

describe("the real Nix", () => {
  let laptop: NixStore;
  beforeEach(async () => {
    laptop = await makeStore();
    return () => laptop.dispose();
  });

  const realise = async (path: string): Promise<string> => {
    const url = `http://127.0.0.1:${gateway.port}/pi`;
    const options = ["--option", "substituters", url, "--option", "trusted-public-keys", publicKey];
    return (await run("nix-store", ["-r", path, ...options], { env: laptop.env, timeout: 60_000 })).stderr;
  };

  test("notices nothing", async () => {
    await tether({ transport: "socket", limits: [20 * megabyte, 9 * megabyte] });
    const said = await realise(big);
    expect(said).toContain("copying path");
    expect(said).not.toMatch(/retry|error/);
    expect(proxy.cuts).toBeGreaterThanOrEqual(4);
    await laptop.run("nix-store", "--verify-path", big);
  });
});

/** The processes in which the store's nix-daemon serves its clients. */
async function daemonWorkers(): Promise<number[]> {
  const childrenOf = async (pid: number): Promise<number[]> => {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    return text.split(" ").filter(Boolean).map(Number);
  };
  const isDaemon = async (pid: number): Promise<boolean> =>
    (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).includes("nix-daemon");
  const workers: number[] = [];
  for (const child of await childrenOf(process.pid)) {
    if (await isDaemon(child)) workers.push(...(await childrenOf(child)));
  }
  return workers;
}
