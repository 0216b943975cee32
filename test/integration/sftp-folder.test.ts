// A cache's folder by the SFTP of a real sshd.

import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { processorsFile } from "../../src/config/dirs.js";
import { aesIn } from "../../src/link/ciphers.js";
import { openProcessors, type Processors } from "../../src/link/processors-file.js";
import { beginCollection, staleMs } from "../../src/static/activity.js";
import { collectionLockName } from "../../src/static/cache-names.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { openFolder } from "../../src/static/open-folder.js";
import { startCutProxy } from "../support/cut-proxy.js";
import { eventually } from "../support/eventually.js";
import { testFolder } from "../support/folder-contract.js";
import { makeSftpFixture, type SftpFixture } from "../support/sftp-fixture.js";
import type { Sshd } from "../support/sshd.js";
import { temporaryFolder } from "../support/temp-folder.js";

const run = promisify(execFile);
const { signal } = new AbortController();
let fixture: SftpFixture;

beforeAll(async () => {
  fixture = await makeSftpFixture();
});
afterAll(() => fixture.dispose());

describe("as any folder", () => {
  let sshd: Sshd;
  beforeAll(async () => {
    sshd = await fixture.sshd({ config: ["Subsystem sftp internal-sftp -u 077"] });
  });
  afterAll(() => fixture.endTest());
  testFolder((folder) => fixture.open(sshd, folder));
});

describe("on a machine without instructions for AES", () => {
  afterEach(() => fixture.endTest());

  test("the next connection begins with the cipher that suits it, once its processor was seen", async () => {
    const sshd = await fixture.sshd();
    const env = { ...fixture.env, XDG_STATE_HOME: temporaryFolder() };
    const file = processorsFile(env);
    const lines: { msg: string; cipher?: string }[] = [];
    const log = pino(
      { level: "debug" },
      { write: (line) => lines.push(JSON.parse(line) as { msg: string }) },
    );
    const open = async (processors?: Processors): Promise<unknown> => {
      const deps = { ...fixture.deps(sshd.address), env, log, ...(processors && { processors }) };
      const folder = await openFolder(fixture.target(sshd, "/tmp"), deps, signal);
      onTestFinished(() => folder.close());
      return lines.findLast(({ msg }) => msg === "logged in")?.cipher;
    };
    await open(openProcessors({ file, log, afterMs: 0 }));
    await eventually("what was seen", () => existsSync(file));
    const { aes } = JSON.parse(await readFile(file, "utf8")) as { aes: Record<string, boolean> };
    expect(Object.values(aes)).toEqual([aesIn(await readFile("/proc/cpuinfo", "latin1"))]);

    // As if it had been another processor.
    const [hostKey = ""] = Object.keys(aes);
    for (const [there, cipher] of [
      [true, "aes128-gcm@openssh.com"],
      [false, "chacha20-poly1305@openssh.com"],
    ] as const) {
      await writeFile(file, JSON.stringify({ version: 1, aes: { [hostKey]: there } }));
      expect(await open()).toBe(cipher);
    }
  });
});

describe("in trouble", () => {
  afterEach(() => fixture.endTest());

  test("in a chroot, where only SFTP is allowed, and of one session", async () => {
    // sshd wants it to be below nothing that others can write to.
    const root = await mkdtemp("/run/nix-tether-chroot-");
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    await mkdir(path.join(root, "cache"));
    const sshd = await fixture.sshd({
      config: [
        "MaxSessions 1",
        "Subsystem sftp internal-sftp",
        `ChrootDirectory ${root}`,
        "ForceCommand internal-sftp",
      ],
    });
    await run("chmod", ["755", root]);
    const folder = await fixture.open(sshd, "/cache");
    await folder.put("x", Buffer.from("here"), { signal });
    expect(await readFile(path.join(root, "cache", "x"), "utf8")).toBe("here");
  });

  test("without SFTP, and where its program is missing, it is said what sshd needs", async () => {
    for (const config of [[], ["Subsystem sftp /no/such/program"]]) {
      const sshd = await fixture.sshd({ config });
      await expect(fixture.open(sshd, "/tmp")).rejects.toMatchObject({
        code: "sftp-unavailable",
        remedy: expect.stringContaining("Subsystem sftp internal-sftp") as string,
      });
    }
  });

  test("an unknown host key is refused", async () => {
    const sshd = await fixture.sshd();
    await writeFile(fixture.knownHosts, "");
    await expect(fixture.open(sshd, "/tmp")).rejects.toMatchObject({
      code: "host-key-unknown",
      remedy: expect.stringContaining(`ssh -p ${sshd.port} nas.test`) as string,
    });
  });

  test("a full disk, a read-only one and a lack of rights are told apart", async () => {
    const sshd = await fixture.sshd();
    const disk = temporaryFolder();
    await run("mount", ["-t", "tmpfs", "-o", "size=2m", "none", disk]);
    try {
      const folder = await fixture.open(sshd, disk);
      const large = path.join(temporaryFolder(), "large");
      await writeFile(large, randomBytes(3_000_000));
      await expect(folder.put("x", { file: large }, { signal })).rejects.toMatchObject({
        code: "cache-full",
      });
      await expect.poll(() => readdir(disk)).toEqual([]);
      await run("mount", ["-o", "remount,ro", disk]);
      await expect(folder.put("x", Buffer.from("x"), { signal })).rejects.toMatchObject({
        code: "cache-forbidden",
      });
      await expect(folder.makeFolder("y", signal)).rejects.toMatchObject({ code: "cache-forbidden" });
    } finally {
      await run("umount", ["-l", disk]);
    }
    const readOnly = await fixture.sshd({ config: ["Subsystem sftp internal-sftp -R"] });
    const folder = await fixture.open(readOnly, disk);
    await expect(folder.put("x", Buffer.from("x"), { signal })).rejects.toMatchObject({
      code: "cache-forbidden",
    });
  });

  test.each(["local", "sftp"])("a collection begins and ends on a full disk (%s)", async (kind) => {
    const sshd = await fixture.sshd();
    const disk = temporaryFolder();
    await run("mount", ["-t", "tmpfs", "-o", "size=64k", "none", disk]);
    try {
      await run("dd", ["if=/dev/zero", `of=${path.join(disk, "large")}`]).catch(() => undefined);
      const folder = kind === "local" ? createLocalFolder(disk) : await fixture.open(sshd, disk);
      await expect(folder.put("x", Buffer.from("x"), { signal })).rejects.toMatchObject({
        code: "cache-full",
      });
      const options = { signal, waitMs: 0, onWait: () => undefined };
      const collection = await beginCollection(folder, options);
      expect((await readdir(disk)).toSorted()).toEqual([collectionLockName, "large"]);
      await expect(beginCollection(folder, options)).rejects.toMatchObject({ code: "cache-busy" });
      await collection.end();
      expect(await readdir(disk)).toEqual(["large"]);
      await writeFile(path.join(disk, collectionLockName), "");
      const old = new Date(Date.now() - staleMs - 60_000);
      await utimes(path.join(disk, collectionLockName), old, old);
      await (await beginCollection(folder, options)).end();
      expect(await readdir(disk)).toEqual(["large"]);
    } finally {
      await run("umount", ["-l", disk]);
    }
  });

  test("a cut ends every call at once; what was begun under a name that tells its content is gone on with", async () => {
    const sshd = await fixture.sshd();
    const proxy = await startCutProxy(sshd, () => Infinity);
    try {
      await writeFile(
        fixture.knownHosts,
        sshd.knownHostsLine("nas.test").replace(`:${sshd.port}`, `:${proxy.port}`),
      );
      const base = temporaryFolder();
      const large = path.join(temporaryFolder(), "large");
      const content = randomBytes(50_000_000);
      await writeFile(large, content);
      proxy.slow(60_000_000);
      const first = await fixture.open(proxy, base);
      let sent = 0;
      const put = first.put(
        "x.nar",
        { file: large },
        { signal, contentNamed: true, onBytes: (n) => (sent += n) },
      );
      put.catch(() => undefined);
      await expect.poll(() => sent, { interval: 5, timeout: 20_000 }).toBeGreaterThan(36_000_000);
      proxy.cut();
      await expect(put).rejects.toMatchObject({ code: "cache-unreachable" });
      await expect(first.list("", signal)).rejects.toMatchObject({ code: "cache-unreachable" });
      expect(await readdir(base)).toEqual([".tmp-x.nar"]);
      // Its last bytes may be anything: those under way, and where the power has failed all that was not flushed.
      const { size } = await stat(path.join(base, ".tmp-x.nar"));
      await run("dd", [
        "if=/dev/zero",
        `of=${path.join(base, ".tmp-x.nar")}`,
        "bs=1",
        "count=100",
        `seek=${size - 20_000_000}`,
        "conv=notrunc",
      ]);
      const before = sent;
      const again: number[] = [];
      const second = await fixture.open(proxy, base);
      await second.put(
        "x.nar",
        { file: large },
        { signal, contentNamed: true, onBytes: (n) => again.push(n) },
      );
      expect(again[0]).toBeGreaterThan(before - 25_000_000);
      expect(again.reduce((a, b) => a + b)).toBe(content.length);
      expect(await readdir(base)).toEqual(["x.nar"]);
      expect(digest(await readFile(path.join(base, "x.nar")))).toBe(digest(content));
    } finally {
      await proxy.close();
    }
  });
});

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
