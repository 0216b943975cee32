// Whom the link trusts: OpenSSH's own known_hosts files against a real sshd.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { HOST, makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import { makeKey } from "../support/sshd.js";

const run = promisify(execFile);
let fixture: LinkFixture;
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

async function otherKey(name: string): Promise<string> {
  await rm(join(fixture.dir, name), { force: true });
  await rm(join(fixture.dir, `${name}.pub`), { force: true });
  return (await makeKey(fixture.dir, name)).publicKey.split(" ", 2).join(" ");
}

/** A port whose queue of connections is full, so that the kernel drops whatever else comes. */
async function blackHole(address: string, port: number): Promise<{ close(): void }> {
  const program =
    "require('net').createServer().listen({ host: process.argv[1], port: +process.argv[2], backlog: 1 }, () => " +
    "{ require('fs').writeSync(1, 'up'); process.kill(process.pid, 'SIGSTOP'); })";
  const child = spawn(process.execPath, ["-e", program, address, String(port)], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.on("error", () => undefined);
  await once(child.stdout, "data");
  const fillers = Array.from({ length: 6 }, () =>
    connect({ host: address, port }).on("error", () => undefined),
  );
  await sleep(300);
  return {
    close: () => {
      for (const socket of fillers) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}

describe("accepted", () => {
  test("[host]:port, plain and hashed", async () => {
    const sshd = await fixture.sshd();
    await fixture.connect(sshd);
    await run("ssh-keygen", ["-H", "-f", fixture.knownHosts]);
    expect(await readFile(fixture.knownHosts, "utf8")).toMatch(/^\|1\|/);
    await fixture.connect(sshd);
  });

  test("a bare name on port 22", async () => {
    const sshd = await fixture.sshd({ address: "127.61.0.22", port: 22 });
    expect(await readFile(fixture.knownHosts, "utf8")).toMatch(/^pi\.test ssh-ed25519/);
    await fixture.connect(sshd);
  });

  test("a bare name vouches for another port, as it does for ssh", async () => {
    const sshd = await fixture.sshd();
    await fixture.know(sshd.knownHostsLine(HOST).replace(/^\S+/, HOST));
    await fixture.connect(sshd);
  });

  test("the alias and the files of ssh_config", async () => {
    const sshd = await fixture.sshd();
    const files = join(fixture.dir, "aliased, with spaces");
    await writeFile(files, sshd.knownHostsLine("x").replace(/^\S+/, "the-alias"));
    await fixture.sshConfig(
      "Host shortname",
      `  HostName ${HOST}`,
      `  Port ${sshd.port}`,
      "  HostKeyAlias the-alias",
      `  UserKnownHostsFile /nonexistent "${files}"`,
    );
    const link = await fixture.connect(sshd, { bare: true, config: { host: "shortname" } });
    expect(link.port).toBe(sshd.port);
  });

  test.each(["ed25519", "ecdsa", "rsa"] as const)(
    "a server with three keys of which %s is known",
    async (type) => {
      const sshd = await fixture.sshd({ hostKeyTypes: ["ed25519", "ecdsa", "rsa"] });
      await fixture.know(sshd.knownHostsLine(HOST, type));
      await fixture.connect(sshd);
    },
  );
});

describe("refused", () => {
  test("an unknown key, with its fingerprint, and nothing is learned", async () => {
    const sshd = await fixture.sshd();
    const { stdout } = await run("ssh-keygen", ["-lf", `${sshd.hostKeys[0]?.file}.pub`]);
    const fingerprint = stdout.split(" ")[1] ?? "?";
    await rm(fixture.knownHosts);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "host-key-unknown",
      message: expect.stringContaining(`ED25519 ${fingerprint}`),
      remedy: expect.stringContaining("nix-tether trust pi"),
    });
    await expect(readFile(fixture.knownHosts)).rejects.toThrow("ENOENT");
    expect(sshd.log()).not.toContain("Accepted publickey");
  });

  test("StrictHostKeyChecking=no changes nothing", async () => {
    const sshd = await fixture.sshd();
    await fixture.know("");
    await fixture.sshConfig("StrictHostKeyChecking no");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "host-key-unknown" });
  });

  test("a changed key", async () => {
    const sshd = await fixture.sshd();
    await fixture.know(`[${HOST}]:${sshd.port} ${await otherKey("other")}`);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "host-key-changed" });
  });

  test("a machine that has lost the only known type", async () => {
    const sshd = await fixture.sshd({ hostKeyTypes: ["rsa"] });
    await fixture.know(`[${HOST}]:${sshd.port} ${await otherKey("lost")}`);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "host-key-changed",
      message: expect.stringMatching(/ssh-ed25519.*RSA SHA256:/),
    });
  });

  test("a revoked key, although it is listed too", async () => {
    const sshd = await fixture.sshd();
    const line = sshd.knownHostsLine(HOST);
    await fixture.know(line, `@revoked * ${line.split(" ").slice(1).join(" ")}`);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "host-key-revoked" });
  });

  test("a key in RevokedHostKeys, and a list that cannot be read", async () => {
    const sshd = await fixture.sshd();
    const list = join(fixture.dir, "revoked");
    await fixture.sshConfig(`RevokedHostKeys ${list}`);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "revoked-keys-unreadable" });
    await writeFile(list, sshd.hostKeys[0]?.publicKey ?? "");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "host-key-revoked" });
  });

  test("a certificate authority's own key is no host key", async () => {
    const sshd = await fixture.sshd();
    await fixture.know(`@cert-authority ${sshd.knownHostsLine(HOST)}`);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "host-key-unknown",
      message: expect.stringContaining("certificate authority"),
    });
  });
});

describe("the port that discovery learned", () => {
  test("is used, and known_hosts is searched for it", async () => {
    const sshd = await fixture.sshd();
    await fixture.sshConfig(`UserKnownHostsFile ${fixture.knownHosts}`);
    const endpoints = [{ address: sshd.address, family: 4 as const, port: sshd.port }];
    expect((await fixture.connect(sshd, { bare: true, endpoints })).port).toBe(sshd.port);

    await fixture.know(`[${HOST}]:2222 ${await otherKey("another")}`);
    await expect(fixture.connect(sshd, { bare: true, endpoints })).rejects.toMatchObject({
      code: "host-key-unknown",
      message: expect.stringContaining(`[${HOST}]:${sshd.port}`),
    });
  });

  test("gives way to one that the user chose", async () => {
    const sshd = await fixture.sshd();
    const endpoints = [{ address: sshd.address, family: 4 as const, port: 9 }];
    expect((await fixture.connect(sshd, { endpoints })).port).toBe(sshd.port);
  });
});

describe("several addresses", () => {
  test("a stranger who answers first does not lock the right machine out", async () => {
    const right = await fixture.sshd({ address: "127.61.0.1" });
    const line = right.knownHostsLine(HOST);
    await fixture.sshd({ address: "127.61.0.2", port: right.port });
    await fixture.know(line);
    const refusing = { address: "127.61.0.3", family: 4 as const };
    const endpoints = [2, 3, 1].map((last) => ({ address: `127.61.0.${last}`, family: 4 as const }));
    for (let round = 0; round < 5; round += 1) {
      const link = await fixture.connect(right, { endpoints: [...endpoints, refusing] });
      expect(link.address).toBe("127.61.0.1");
    }
  });

  test("a stranger alone is named, although another address is silent", async () => {
    const stranger = await fixture.sshd({ address: "127.61.0.2" });
    await fixture.know(`[${HOST}]:${stranger.port} ${await otherKey("right")}`);
    const endpoints = [3, 2].map((last) => ({ address: `127.61.0.${last}`, family: 4 as const }));
    await expect(fixture.connect(stranger, { endpoints })).rejects.toMatchObject({
      code: "host-key-changed",
    });
  });

  test("an address that accepts and then says nothing costs its time, not the link", async () => {
    const right = await fixture.sshd({ address: "127.61.0.1" });
    const mute = createServer((socket) => socket.on("error", () => undefined).resume());
    mute.listen(right.port, "127.61.0.4");
    try {
      const endpoints = [4, 1].map((last) => ({ address: `127.61.0.${last}`, family: 4 as const }));
      const link = await fixture.connect(right, { endpoints });
      expect(link.address).toBe("127.61.0.1");
    } finally {
      mute.close();
    }
  });

  test("an address that swallows everything delays nobody", async () => {
    const right = await fixture.sshd({ address: "127.61.0.1" });
    const hole = await blackHole("127.61.0.5", right.port);
    try {
      const endpoints = [5, 1].map((last) => ({ address: `127.61.0.${last}`, family: 4 as const }));
      const started = performance.now();
      const link = await fixture.connect(right, { endpoints });
      expect(link.address).toBe("127.61.0.1");
      expect(performance.now() - started).toBeLessThan(3_000);
      await right.stop();
      await expect(fixture.connect(right, { endpoints })).rejects.toMatchObject({
        code: "unreachable",
        message: expect.stringMatching(/127\.61\.0\.5 .*no answer within 3 s/),
      });
    } finally {
      hole.close();
    }
  });

  test("nobody answers", async () => {
    const sshd = await fixture.sshd();
    await sshd.stop();
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});
