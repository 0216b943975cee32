// The demo's stand-in for the Pi, spoken to by the programs it stands in for: OpenSSH's client and the real Nix.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DemoStore } from "../../src/demo/demo-store.js";
import {
  type EmbeddedPi,
  embeddedDaemonSocket,
  newKeyPair,
  startEmbeddedPi,
} from "../../src/demo/embedded-pi.js";
import { makeEmbeddedStore } from "../../src/demo/embedded-store.js";
import { makeNixStore } from "../../src/demo/nix-store.js";
import { makeNixHome, type NixHome } from "../../src/demo/nix-tools.js";
import { isSignedBy } from "../../src/demo/signing.js";
import { clientHandshake } from "../../src/protocol/handshake.js";
import { queryPathInfo } from "../../src/protocol/operations.js";
import { WireReader } from "../../src/protocol/reader.js";
import { readUntilLast } from "../../src/protocol/stderr.js";
import { type PathInfo } from "../../src/protocol/path-info.js";
import { delay } from "../../src/util/abort.js";

const run = promisify(execFile);
const path = process.env["PATH"] ?? "";

describe("the stand-in with the real Nix behind it", () => {
  let folder: string;
  let store: DemoStore;
  let pi: EmbeddedPi;
  let laptop: NixHome;
  let sshOptions: string[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "nix-tether-demo-pi-"));
    store = await makeNixStore(join(folder, "pi"), { path, signal: AbortSignal.timeout(30_000) });
    const key = newKeyPair();
    pi = await startEmbeddedPi({ allowedKey: key.publicKey, serve: store.serve });
    await writeKey("id", key.privateKey);
    await writeFile(join(folder, "known_hosts"), pi.knownHostsLine(pi.address));
    sshOptions = options("id");
    laptop = await makeNixHome(join(folder, "laptop"), {
      path,
      settings: [`trusted-public-keys = ${store.publicKey}`],
    });
  });

  afterAll(async () => {
    await pi?.close();
    await store?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function writeKey(name: string, text: string): Promise<void> {
    await writeFile(join(folder, name), text);
    await chmod(join(folder, name), 0o600);
  }

  function options(key: string): string[] {
    const settings = [
      `Port=${pi.port}`,
      "User=demo",
      "IdentitiesOnly=yes",
      "BatchMode=yes",
      `IdentityFile=${join(folder, key)}`,
      `UserKnownHostsFile=${join(folder, "known_hosts")}`,
    ];
    return ["-F", "/dev/null", ...settings.flatMap((setting) => ["-o", setting])];
  }

  /** `ssh -N -L` from a local socket to the stand-in's daemon socket, once it listens. */
  async function forward(local: string, remote = embeddedDaemonSocket): Promise<ChildProcess> {
    const args = [...sshOptions, "-N", "-L", `${local}:${remote}`, pi.address];
    const child = spawn("ssh", args, { stdio: "ignore" });
    child.on("error", () => {});
    for (let tries = 0; !existsSync(local); tries += 1) {
      if (tries > 200 || child.exitCode !== null) throw new Error(`ssh did not listen on ${local}`);
      await delay(50);
    }
    return child;
  }

  /** What a store's daemon says of a path, asked by the product's own client. */
  async function ask(asked: DemoStore, storePath: string): Promise<PathInfo> {
    const [near, far] = duplexPair();
    asked.serve(far);
    const reader = new WireReader(near);
    const { protocol } = await clientHandshake(reader, (bytes) => near.write(bytes));
    const operation = queryPathInfo(storePath);
    near.write(operation.request(protocol));
    await readUntilLast(reader, protocol);
    const info = await operation.readReply(reader, protocol);
    near.destroy();
    if (info === null) throw new Error(`${storePath} is not there`);
    return info;
  }

  test("nix asks its daemon socket through ssh -L", async () => {
    const local = join(folder, "pi.sock");
    const child = await forward(local);
    try {
      const json = await laptop.run("nix", [
        "--extra-experimental-features",
        "nix-command",
        "path-info",
        "--json",
        "--store",
        `unix://${local}`,
        store.letter,
      ]);
      expect(json).toContain(store.album);
      expect(json).toContain("nix-tether-demo-1:");
    } finally {
      await ended(child);
    }
  });

  test("nix copies signed paths from it over ssh-ng", async () => {
    const env = { ...laptop.env, NIX_SSHOPTS: sshOptions.join(" ") };
    await run(
      "nix",
      [
        "--extra-experimental-features",
        "nix-command",
        "copy",
        "--from",
        `ssh-ng://${pi.address}`,
        "--to",
        String(laptop.env["NIX_REMOTE"]),
        store.letter,
      ],
      { env, timeout: 30_000 },
    );
    const copied = join(folder, "laptop", "store", store.letter);
    expect(await readFile(copied, "utf8")).toContain(store.album);
    await laptop.run("nix-store", ["--verify-path", store.letter, store.album]);
  });

  test("the embedded store holds the very same paths, and answers alike", async () => {
    const embedded = makeEmbeddedStore();
    const names = ["album", "letter", "postcard"] as const;
    for (const name of names) expect(embedded[name]).toBe(store[name]);

    for (const name of names) {
      const [theirs, ours] = [await ask(store, store[name]), await ask(embedded, store[name])];
      expect({ ...ours, signatures: [] }).toEqual({ ...theirs, signatures: [] });
      for (const [from, info] of [
        [store, theirs],
        [embedded, ours],
      ] as const) {
        expect(info.signatures.map((one) => isSignedBy(from.publicKey, one, info))).toEqual([true]);
        const other = { ...info, narSize: info.narSize + 8 };
        expect(info.signatures.map((one) => isSignedBy(from.publicKey, one, other))).toEqual([false]);
      }
    }
  });

  test("a stranger's key and a stranger's socket are refused", async () => {
    await writeKey("stranger", newKeyPair().privateKey);
    await expect(ssh([...options("stranger"), pi.address, "nix-daemon --stdio"])).rejects.toThrow(
      /Permission denied/,
    );
    await expect(ssh([...sshOptions, pi.address, "cat /etc/passwd"])).rejects.toThrow(/exec request failed/);
    await expect(ssh([...sshOptions, pi.address])).rejects.toThrow(/shell request failed/);

    const local = join(folder, "other.sock");
    const forwarding = await forward(local, "/run/other.sock");
    try {
      expect(await firstBytes(local)).toBe("");
    } finally {
      await ended(forwarding);
    }
  });

  test("it leaves, and comes back under the same address and host key", async () => {
    const cut = await forward(join(folder, "leaving.sock"));
    const exit = once(cut, "exit");
    await pi.leave();
    await exit;
    await expect(ssh([...sshOptions, pi.address, "true"])).rejects.toThrow(/Connection refused/);
    await pi.comeBack();
    await ended(await forward(join(folder, "back.sock")));
  });
});

/** Runs ssh to its end, with nothing to say on its standard input. */
function ssh(args: readonly string[]): Promise<unknown> {
  const started = run("ssh", [...args], { timeout: 15_000 });
  started.child.stdin?.end();
  return started;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  // ssh looks for SIGTERM before it waits for input: one that comes in between is seen when that wait ends.
  child.kill("SIGKILL");
  await exit;
}

/** What a unix socket says before it is closed. */
async function firstBytes(socketPath: string): Promise<string> {
  let text = "";
  for await (const chunk of createConnection(socketPath)) text += String(chunk);
  return text;
}

/** Two ends of a wire in memory. */
function duplexPair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const make = (other: number): Duplex =>
    new Duplex({
      read: () => {},
      write: (chunk, _encoding, done) => {
        ends[other]?.push(chunk);
        done();
      },
      final: (done) => {
        ends[other]?.push(null);
        done();
      },
      destroy: (error, done) => {
        if (ends[other]?.destroyed === false) setImmediate(() => ends[other]?.destroy());
        done(error);
      },
    });
  ends.push(make(1), make(0));
  return [ends[0]!, ends[1]!];
}
