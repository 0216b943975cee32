// (r) Bytes through our forward and through `ssh -L`, with the same cipher.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { untilConnectable } from "../../test/support/nix-store.js";
import { withDeadline } from "../../src/util/abort.js";
import { inTurn, scaled, type Measurement } from "../bench.js";
import type { Scope } from "../scope.js";
import { cpuSeconds } from "../world/cpu.js";
import { makeLaptop, startTether } from "../world/laptop.js";
import { makePi, piHost } from "../world/pi.js";

/** What both take where sshd offers nothing else. Without it they choose differently. */
const cipher = "aes128-gcm@openssh.com";

export const rawBytes: Measurement = {
  letters: "r",
  run: async (bench) => {
    const { scope } = bench;
    const [nix = "2.8"] = bench.options.nix;
    const pi = await makePi(scope, nix, [`Ciphers ${cipher}`]);
    const config = await pi.sshConfig(pi.sshd.port);
    const laptop = await makeLaptop(scope, nix, pi, config);
    const served = join(pi.nix.dir, "bytes.sock");
    const server = fileURLToPath(new URL("../world/byte-server.js", import.meta.url));
    await untilConnectable(await start(scope, process.execPath, [server, served, pi.daemonSocket], served));

    const tether = await startTether(scope, laptop, { ...pi, daemonSocket: served }, pi.sshd.port, {
      profiles: bench.options.profile,
    });
    const plain = join(pi.nix.dir, "plain.sock");
    // A session besides, without which sshd leaves Nagle's algorithm on: as quick as ssh can be.
    const args = ["-F", config, "-o", `Ciphers=${cipher}`, "-L", `${plain}:${served}`, piHost, "cat"];
    const ssh = { socket: plain, pid: 0 };
    await start(scope, "ssh", args, plain, (pid) => (ssh.pid = pid));
    await untilConnectable(plain);

    const ways = [
      { name: "nix-tether", socket: tether.home.socket("pi"), pid: tether.daemon.pid },
      { name: "ssh -L", ...ssh },
    ];
    const bytes = scaled(bench, 1e9);
    for (const direction of ["down", "up"] as const) {
      const setting = {
        measure: "r",
        what: `${bytes / 1e6} MB ${direction}, ${cipher}`,
        nix: null,
        delayMs: 0,
      };
      await inTurn(bench, ways, async ({ name, socket, pid }) => {
        const before = await cpuSeconds(pid);
        const began = performance.now();
        await withDeadline(carry(socket, direction, bytes), 120_000, `${name}: ${bytes} bytes ${direction}`);
        const seconds = (performance.now() - began) / 1000;
        bench.recorder.add(setting, name, "MB/s", bytes / 1e6 / seconds);
        bench.recorder.add(setting, name, "s/GB", ((await cpuSeconds(pid)) - before) / (bytes / 1e9));
        bench.say(`r ${direction}, ${name}: ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`);
      });
    }
  },
};

/** Starts a program; resolves to `socket`, which it is to make. */
async function start(
  scope: Scope,
  command: string,
  args: readonly string[],
  socket: string,
  onPid: (pid: number) => void = () => undefined,
): Promise<string> {
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "inherit"] });
  child.on("error", () => undefined);
  child.stdin.on("error", () => undefined);
  const ended = once(child, "close");
  onPid(child.pid ?? 0);
  await scope.add({
    dispose: async () => {
      child.kill();
      await withDeadline(ended, 10_000, `ending ${command}`);
    },
  });
  return socket;
}

/** Through one buffer that is used again and again: the client must not be what is slow. */
async function carry(path: string, direction: "down" | "up", bytes: number): Promise<void> {
  const buffer = Buffer.alloc(1 << 20);
  let got = 0;
  const onread = {
    buffer,
    callback: (count: number): boolean => {
      got += count;
      return true;
    },
  };
  const socket = connect({ path, onread, allowHalfOpen: true });
  const ended = once(socket, "end");
  socket.write(`${direction} ${bytes}\n`);
  if (direction === "up") {
    for (let left = bytes; left > 0; left -= buffer.length) {
      if (!socket.write(piece.subarray(0, left))) await once(socket, "drain");
    }
  }
  await ended;
  socket.destroy();
  if (direction === "down" && got !== bytes) throw new Error(`${got} of ${bytes} bytes came`);
}

const piece = Buffer.alloc(1 << 20);
