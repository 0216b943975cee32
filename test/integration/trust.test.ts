// `trust` against a real sshd: at a terminal and without one, and what ssh itself thinks of the file it leaves.

import { execFile } from "node:child_process";
import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sshCacheSchema } from "../../src/config/cache-schema.js";
import { findExpectedOffer, findHostKeyOffers } from "../../src/doctor/host-key-offers.js";
import { createMachine, type Machine } from "../../src/doctor/machine.js";
import type { Discovery } from "../../src/sources/discovery.js";
import { cacheTable, type DaemonHome, type Ended } from "../support/daemon.js";
import { makeDaemonFixture, type DaemonFixture } from "../support/daemon-fixture.js";
import { silentLog } from "../support/silent-log.js";
import type { Sshd, SshdOptions } from "../support/sshd.js";
import { runAtTerminal, type AtTerminal } from "../support/terminal.js";

const run = promisify(execFile);

let fixture: DaemonFixture;
let home: DaemonHome;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
});
afterAll(() => fixture?.dispose());

beforeEach(async () => {
  home = await fixture.home();
});
afterEach(() => fixture.far.endTest());

/** A machine that is not known yet. */
async function stranger(
  settings: Record<string, unknown> | null = null,
  options: SshdOptions = {},
): Promise<Sshd> {
  const sshd = await fixture.far.sshd(options);
  const { "known-hosts": _, ...cache } = fixture.cache(sshd);
  const known = { "known-hosts": join(home.dir, ".ssh/known_hosts") };
  await home.configure(cacheTable("pi", { ...cache, ...(settings ?? known) }));
  return sshd;
}

/** As ssh-keygen says. */
async function fingerprint(sshd: Sshd, index = 0): Promise<string> {
  const { stdout } = await run("ssh-keygen", ["-lf", `${sshd.hostKeys[index]?.file}.pub`]);
  return stdout.split(" ")[1] ?? "";
}

function atTerminal(...answers: string[]): Promise<AtTerminal> {
  const question = /\(yes\/no\/the fingerprint\)\? /;
  return runAtTerminal([...home.argv, "trust", "pi"], { env: home.env, question, answers });
}

const known = (): Promise<string> => readFile(join(home.dir, ".ssh/known_hosts"), "utf8");

describe("at a terminal", () => {
  test("shows the key as ssh-keygen draws it, and writes what ssh would have written", async () => {
    const sshd = await stranger();
    const { code, screen } = await atTerminal("yes\n");
    expect(screen).toContain(await fingerprint(sshd));
    const { stdout } = await run("ssh-keygen", ["-lvf", `${sshd.hostKeys[0]?.file}.pub`]);
    for (const line of stdout.trimEnd().split("\n").slice(1)) expect(screen).toContain(line);
    expect(code).toBe(0);
    expect(await known()).toBe(`${sshd.knownHostsLine(sshd.address)}\n`);
    const folder = join(home.dir, ".ssh");
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(join(folder, "known_hosts"))).mode & 0o777).toBe(0o600);
    const args = ["-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${folder}/known_hosts`];
    await run(
      "ssh",
      [...args, "-o", "StrictHostKeyChecking=yes", "-p", `${sshd.port}`, `root@${sshd.address}`, "true"],
      { env: home.env },
    );
    expect((await home.run("trust", "pi")).stdout).toMatch(
      /^The host key of 127.0.0.1 is known already: ED25519/,
    );
  });

  test.each([
    ["no", ["no\n"]],
    ["nothing", ["\u0004"]],
    ["three times nonsense", ["perhaps\n", "y\n", "SHA256:abc\n"]],
  ])("%s leaves everything as it was", async (_what, answers) => {
    await stranger();
    const { code, screen } = await atTerminal(...answers);
    expect(screen).toContain("Nothing was changed.");
    expect(code).toBe(1);
    await expect(known()).rejects.toThrow("ENOENT");
  });

  test("the fingerprint is as good as yes", async () => {
    const sshd = await stranger();
    expect(await atTerminal("SHA256:wrong\n", `${await fingerprint(sshd)}\n`)).toMatchObject({ code: 0 });
    expect(await known()).toBe(`${sshd.knownHostsLine(sshd.address)}\n`);
  });

  test("of several keys the kind is stored that the link asks for", async () => {
    const sshd = await stranger(null, { hostKeyTypes: ["rsa", "ecdsa", "ed25519"] });
    expect(await atTerminal("yes\n")).toMatchObject({ code: 0 });
    expect(await known()).toBe(`${sshd.knownHostsLine(sshd.address, "ed25519")}\n`);
  });

  test("an interruption ends it", async () => {
    await stranger();
    expect((await atTerminal("\u0003")).code).not.toBe(0);
    await expect(known()).rejects.toThrow("ENOENT");
  });
});

describe("without a terminal", () => {
  test("nothing is taken in, and the way to do it is told", async () => {
    await stranger();
    const { code, stdout, stderr } = await home.run("trust", "pi");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("nix-tether trust pi --fingerprint SHA256:");
    await expect(known()).rejects.toThrow("ENOENT");
  });

  const trust = async (sshd: Sshd, index = 0): Promise<Ended> =>
    home.run("trust", "pi", "--fingerprint", await fingerprint(sshd, index));

  test("the expected fingerprint decides, of whichever kind the key is", async () => {
    const types = ["ed25519", "ecdsa", "rsa"] as const;
    const sshd = await stranger(null, { hostKeyTypes: types });
    expect(await trust(sshd, 2)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("by RSA SHA256:"),
    });
    expect(await known()).toBe(`${sshd.knownHostsLine(sshd.address, "rsa")}\n`);
    // From now on this kind is what the link asks for.
    expect((await home.run("trust", "pi")).stdout).toContain("known already: RSA");
  });

  test("another fingerprint is refused, and what was seen is named", async () => {
    const sshd = await stranger();
    const { code, stderr } = await home.run("trust", "pi", "--fingerprint", `SHA256:${"A".repeat(43)}`);
    expect(code).toBe(1);
    expect(stderr).toContain(`it shows ED25519 ${await fingerprint(sshd)} at 127.0.0.1`);
    expect(await home.run("trust", "pi", "--fingerprint", "MD5:ab:cd")).toMatchObject({ code: 2 });
    await expect(known()).rejects.toThrow("ENOENT");
  });

  test("the name is hashed, aliased and kept apart from what stands there, as ssh_config says", async () => {
    const sshd = await stranger({ host: "pi" });
    const file = join(home.dir, "mine/known_hosts");
    await mkdir(join(home.dir, "mine"));
    await writeFile(file, "other.test ssh-ed25519 AAAA");
    await fixture.far.sshConfig(
      "Host pi",
      `  HostName ${sshd.address}`,
      "  HostKeyAlias Shelf",
      "  HashKnownHosts yes",
      `  UserKnownHostsFile ${file} /nonexistent`,
    );
    expect(await trust(sshd)).toMatchObject({ code: 0 });
    const [first, second] = (await readFile(file, "utf8")).split("\n");
    expect(first).toBe("other.test ssh-ed25519 AAAA");
    expect(second).toMatch(/^\|1\|/);
    const { stdout } = await run("ssh-keygen", ["-F", "shelf", "-f", file]);
    expect(stdout).toContain(sshd.hostKeys[0]?.publicKey.split(" ")[1]);
  });

  test("a key that has changed is refused, with the way to remove the old one, which works", async () => {
    const other = await fixture.far.sshd();
    const sshd = await stranger();
    await mkdir(join(home.dir, ".ssh"));
    const line = other.knownHostsLine(sshd.address).replace(String(other.port), String(sshd.port));
    await writeFile(join(home.dir, ".ssh/known_hosts"), `${line}\n`);
    const { code, stderr } = await trust(sshd);
    expect(code).toBe(1);
    const [, removal = ""] = /run "(ssh-keygen -R [^"]+)"/.exec(stderr) ?? [];
    expect(await known()).toBe(`${line}\n`);
    await run("sh", ["-c", removal]);
    expect(await trust(sshd)).toMatchObject({ code: 0 });
  });

  test("a file that can not be written is named, with the line that belongs there", async () => {
    const sshd = await stranger();
    await mkdir(join(home.dir, ".ssh"));
    await symlink("/proc/version", join(home.dir, ".ssh/known_hosts"));
    const { code, stderr } = await trust(sshd);
    expect(code).toBe(1);
    expect(stderr).toContain(`${home.dir}/.ssh/known_hosts`);
    expect(stderr).toContain(sshd.knownHostsLine(sshd.address));
  });

  test("the daemon tries at once", async () => {
    const sshd = await stranger();
    const daemon = home.start();
    await home.untilListed([]);
    await expect.poll(async () => (await home.cache("pi")).reason, { timeout: 10_000 }).toContain("host key");
    expect((await trust(sshd)).stdout).toContain("The daemon tries pi now.");
    await home.untilListed(["pi"], 8_000);
    daemon.kill("SIGTERM");
    await daemon.ended;
  });

  test("a machine that is away, or no machine, is told apart", async () => {
    const sshd = await stranger();
    await sshd.stop();
    expect((await home.run("trust", "pi")).stderr).toContain("ECONNREFUSED");
    expect(await home.run("trust", "po")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("The caches are: pi"),
    });
  });
});

describe("where two machines answer to the name", () => {
  /** What discovery would hear: the first one at once, both when it listens to the end. */
  const machineOf = (...sshds: readonly Sshd[]): Machine => {
    const endpoints = sshds.map(({ address, port }) => ({ address, port, family: 4 as const }));
    const lookup: Discovery["lookup"] = async (_target, _signal, options) => ({
      endpoints: options?.thorough === true ? endpoints : endpoints.slice(0, 1),
      how: "mdns",
    });
    const config = sshCacheSchema.parse({ host: "pi.local", "known-hosts": join(home.dir, "known_hosts") });
    return createMachine("pi", config, { discovery: { lookup }, env: home.env, log: silentLog });
  };
  const { signal } = new AbortController();
  const deps = { env: process.env, signal };

  test("both keys are offered, and the expected fingerprint tells which it is", async () => {
    const [stranger1, pi] = [await fixture.far.sshd(), await fixture.far.sshd()];
    const machine = machineOf(stranger1, pi);
    const { offers } = await findHostKeyOffers(machine, signal);
    expect(offers.map(({ fingerprint: shown }) => shown)).toEqual([
      await fingerprint(stranger1),
      await fingerprint(pi),
    ]);
    const found = await findExpectedOffer(machine, offers, await fingerprint(pi), deps);
    expect(found?.addresses).toEqual([pi.address]);
  });

  test("the one that is known is enough, however late it answers", async () => {
    const [stranger1, pi] = [await fixture.far.sshd(), await fixture.far.sshd()];
    await writeFile(join(home.dir, "known_hosts"), `${pi.knownHostsLine("pi.local")}\n`);
    const { known: found, offers } = await findHostKeyOffers(machineOf(stranger1, pi), signal);
    expect(found).toBe(`ED25519 ${await fingerprint(pi)}`);
    expect(offers).toEqual([]);
  });
});
