// The doctor's eye on real parts: an sshd and a nix-daemon far away, a nix-daemon of root's here, and a user without
// rights, for whom one thing after the other is broken.

import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { cacheUrl } from "../../src/daemon/override-file.js";
import type { Result } from "../../src/doctor/check.js";
import { cacheTable, type DaemonHome } from "../support/daemon.js";
import { makeDaemonFixture, nobody, type DaemonFixture } from "../support/daemon-fixture.js";
import { makeMultiNix, type MultiNix } from "../support/multi-nix.js";
import { freePort, startAgent, type Sshd } from "../support/sshd.js";

let fixture: DaemonFixture;
let multi: MultiNix;
let sshd: Sshd;
let home: DaemonHome;
let publicKey: string;
/** What root's nix.conf says when all is well. */
let conf: string;

beforeAll(async () => {
  fixture = await makeDaemonFixture();
  multi = await makeMultiNix("2.34");
  sshd = await fixture.sshd();
  const { store } = fixture.far;
  const signed = [
    await store.addTree("a", "a", { references: [] }),
    await store.addTree("b", "b", { references: [] }),
  ];
  publicKey = await store.sign("pi-1", ...signed);
});
afterAll(async () => {
  await fixture?.dispose();
  await multi?.dispose();
});

beforeEach(async () => {
  home = await newHome();
});

async function newHome(env: NodeJS.ProcessEnv = {}): Promise<DaemonHome> {
  const { PATH: nixPath, ...nix } = multi.env;
  const made = await fixture.home({
    uid: nobody,
    env: {
      ...nix,
      PATH: `${join(fixture.far.dir, "bin")}:${nixPath}`,
      LANG: "C.UTF-8",
      SSH_AUTH_SOCK: "",
      NIX_TETHER_LOG: "silent",
      ...env,
    },
  });
  const url = (generation: number): string =>
    cacheUrl({ port: made.port, name: "pi", generation, priority: 30, trusted: false });
  const ring = Array.from({ length: 16 }, (_, generation) => url(generation)).join(" ");
  conf = `trusted-substituters = ${ring}\ntrusted-public-keys = ${publicKey}\n`;
  await multi.restart(conf);
  await made.configure(cacheTable("pi", settings(made)));
  return made;
}

const settings = (of: DaemonHome, more = {}): Record<string, unknown> =>
  fixture.cache(sshd, { "identity-file": join(of.dir, "id"), ...more });

/** What was found, a line for each, by its id. */
async function diagnose(of = home): Promise<{ code: number | null; found: Map<string, string> }> {
  const { code, stdout, stderr } = await of.run("doctor", "--json");
  expect(stderr).toBe("");
  const { checks } = JSON.parse(stdout) as { checks: Result[] };
  const found = new Map<string, string>();
  for (const { id, mark, text, remedy } of checks) {
    const line = `${mark}: ${text}${remedy === null ? "" : ` -> ${remedy}`}`;
    found.set(id, [found.get(id), line].filter((one) => one !== undefined).join("\n"));
  }
  return { code, found };
}

test("with a daemon and all well, it says so line by line", async () => {
  const daemon = home.start();
  await home.untilListed(["pi"]);
  const { code, stdout, stderr } = await home.run("doctor");
  // Whether this machine has a login manager is not ours to know, nor has it much of a network.
  const lines = stdout.split("\n").filter((line) => !/^. (Lingering|Nix's settings)|^ {2}→/.test(line));
  const far = /^✓ Far nix-daemon: (.*)$/m.exec(stdout)?.[1];
  expect(far).toMatch(/^Nix 2\.8\.0, protocol 1\.34; it does not say whether it trusts this login$/);
  const key = /SHA256:\S+ \(\S+\/id\)/.exec(stdout)?.[0];
  // The newer one lies where this user may not look.
  const nix = /^✓ Nix: (\S+),/m.exec(stdout)?.[1];
  const hostKey = /ED25519 SHA256:\S+/.exec(stdout)?.[0];
  expect(lines.join("\n").replace(/^All is well.*/m, "All is well.")).toBe(
    `✓ Configuration: ${home.dir}/config/nix-tether/config.toml: the cache pi
✓ ssh's settings: root@127.0.0.1 port ${sshd.port}
✓ Keys: ${key}; no ssh-agent was found (SSH_AUTH_SOCK is not set here, nor do the usual sockets exist)
✓ Name: 127.0.0.1 is an address already
✓ sshd: answers at 127.0.0.1 port ${sshd.port}
✓ Host key: ${hostKey} is known
✓ Login: root is let in with ${key}
✓ Transport: socket: sshd forwards to ${fixture.far.daemonSocket}
✓ Far nix-daemon: ${far}
✓ Your nix.conf: ${home.dir}/config/nix/nix.conf includes ${home.overrideFile}, and no later line undoes it
✓ Nix: ${nix}, with a nix-daemon 2.34.8
✓ URLs: root has allowed all 16 of them
✓ Public keys: Nix knows pi-1
✓ Signatures: all of 2 paths looked at are signed by pi-1
✓ Daemon: runs as process ${daemon.pid}
✓ Its state: online at 127.0.0.1, and Nix is told of it
✓ Gateway: answers at 127.0.0.1:${home.port}
– Hook: not needed: nothing is uploaded (uploads.to is empty)
✓ System's nix.conf: takes in no file that others than root can write
All is well.
`,
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });

  await home.run("pause", "pi");
  const paused = await diagnose();
  expect(paused.found.get("state")).toBe(
    "warning: paused by you, so Nix is not told of it -> `nix-tether resume pi`",
  );
  expect(paused.code).toBe(0);
  daemon.kill("SIGTERM");
  await daemon.ended;
});

describe("the configuration", () => {
  test("that is missing or wrong is a failure, and nothing that hangs on it is looked at", async () => {
    await home.configure("[caches.pi]\nhots = 1\n");
    const { code, found } = await diagnose();
    expect(code).toBe(1);
    expect(found.get("config")).toMatch(/^failure: .*did you mean "host"/s);
    expect(found.get("login")).toBe("skipped: waits for: Configuration");
    expect(found.get("include")).toMatch(/^ok/);
    expect((await home.run("doctor", "pi", "--config", "/nonexistent")).stdout).toContain(
      "there is no configuration at /nonexistent",
    );
  });

  test("of ssh that is refused is told in ssh's words", async () => {
    await fixture.far.sshConfig("NoSuchOption yes");
    onTestFinished(() => fixture.far.sshConfig(""));
    expect((await diagnose()).found.get("ssh-config")).toMatch(
      /^failure: ssh does not accept.*nosuchoption/is,
    );
  });

  test("with two caches names each, and only one is looked at when asked for", async () => {
    const table = (name: string): string => cacheTable(name, settings(home));
    await home.configure(`${table("pi")}${table("nas")}`);
    expect((await home.run("doctor")).stdout).toMatch(/✓ pi: Host key.*✓ nas: Host key/s);
    const { stdout } = await home.run("doctor", "nas");
    expect(stdout).toContain("✓ Host key");
    expect(stdout).toContain("/nas/$n?priority=30");
    expect(stdout).not.toContain("/pi/$n");
    expect(await home.run("doctor", "po")).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("the machine", () => {
  const foundWith = async (more: Record<string, unknown>): Promise<Map<string, string>> => {
    await home.configure(cacheTable("pi", settings(home, more)));
    const { code, found } = await diagnose();
    expect(code).toBe(1);
    return found;
  };

  test("that nobody knows the name of", async () => {
    const found = await foundWith({ host: "pi.invalid" });
    expect(found.get("name")).toMatch(/^failure: the name pi.invalid does not resolve here -> Correct it/);
    expect(found.get("sshd")).toBe("skipped: waits for: Name");
    expect(found.get("agent")).toMatch(/^ok/);
  });

  test("where no sshd listens, or something else does", async () => {
    expect((await foundWith({ port: await freePort() })).get("sshd")).toMatch(
      /^failure: .*ECONNREFUSED.* -> Check that sshd/,
    );
    const server = net.createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const found = await foundWith({ port: (server.address() as net.AddressInfo).port });
    expect(found.get("sshd")).toMatch(/^failure: .*accepts connections but shows no host key/);
    expect(found.get("login")).toBe("skipped: waits for: sshd");
  });

  test("whose host key is unknown, changed, or revoked", async () => {
    const file = join(home.dir, "known_hosts");
    await writeFile(file, "");
    const unknown = await foundWith({ "known-hosts": file });
    expect(unknown.get("host-key")).toMatch(
      /^failure: .*ED25519 SHA256:.*at 127.0.0.1 -> .*`nix-tether trust pi`/,
    );
    expect(unknown.get("login")).toBe("skipped: waits for: Host key");
    const other = await fixture.far.sshd();
    const line = other.knownHostsLine(sshd.address).replace(String(other.port), String(sshd.port));
    await writeFile(file, line);
    expect((await foundWith({ "known-hosts": file })).get("host-key")).toMatch(
      /^failure: .*not the one in known_hosts.*-R/,
    );
    await writeFile(file, `@revoked ${sshd.knownHostsLine(sshd.address)}`);
    expect((await foundWith({ "known-hosts": file })).get("host-key")).toMatch(/^failure: .*revoked/);
  });

  test("to which there is no key, an encrypted one, or none that it takes", async () => {
    const id = { "identity-file": join(home.dir, "none") };
    const found = await foundWith(id);
    expect(found.get("agent")).toMatch(/^failure: the configured key file .*none does not exist/);
    expect(found.get("host-key")).toMatch(/^ok/);
    expect(found.get("login")).toBe("skipped: waits for: Keys");
    await writeFile(join(home.dir, "none"), await readFile(sshd.hostKeys[0]?.file ?? ""), { mode: 0o600 });
    const refused = await foundWith(id);
    expect(refused.get("agent")).toMatch(/^ok/);
    expect(refused.get("login")).toMatch(/^failure: root@127.0.0.1 accepted none of the keys.*ssh-copy-id/);
    expect(refused.get("transport")).toBe("skipped: waits for: Login");
  });

  test("whose nix-daemon can not be reached", async () => {
    const found = await foundWith({ "remote-socket": "/nonexistent", transport: "socket" });
    expect(found.get("login")).toMatch(/^ok: root is let in/);
    expect(found.get("transport")).toMatch(/^failure: .*its nix-daemon is not; socket: .*nix-users/);
    expect(found.get("signatures")).toBe("skipped: waits for: Transport");
  });
});

test("an agent that is empty, locked, and full", async () => {
  const agent = await startAgent(join(fixture.far.dir, "another.sock"));
  onTestFinished(() => agent.stop());
  // OpenSSH's agent answers its owner and root only.
  const { far } = fixture;
  const rooted = await fixture.home({ env: { SSH_AUTH_SOCK: agent.socket, NIX_TETHER_LOG: "silent" } });
  await rooted.configure(cacheTable("pi", fixture.cache(sshd)));
  const keys = async (): Promise<string | undefined> => (await diagnose(rooted)).found.get("agent");
  expect(await keys()).toMatch(/^failure: .*holds no keys -> Run "ssh-add"/);
  await agent.add(far.key.file);
  expect(await keys()).toMatch(/^ok: SHA256:\S+ \(agent: user_key\)$/);
  await agent.lock();
  expect(await keys()).toMatch(/^failure: .*is locked.* -> Run "ssh-add -X"/);
});

describe("Nix", () => {
  test("that does not read the override, or reads it too early", async () => {
    const own = join(home.dir, "config/nix/nix.conf");
    await writeFile(own, "# nothing\n");
    expect((await diagnose()).found.get("include")).toMatch(
      /^failure: Nix does not read the override.* -> Add this line/,
    );
    await writeFile(own, "!include nix-tether.conf\nsubstituters = http://a\n");
    expect((await diagnose()).found.get("include")).toMatch(
      /^failure: .*nix.conf:2 comes after the override.* -> Move/,
    );
  });

  test("that is not there, or whose nix-daemon is not", async () => {
    await multi.stop();
    const silent = await diagnose();
    expect(silent.found.get("nix")).toMatch(
      /^failure: the nix-daemon does not answer at .*daemon.sock.*restart/,
    );
    expect(silent.found.get("urls")).toBe("skipped: waits for: Nix");
    const none = await newHome({ PATH: "/nonexistent" });
    const { found } = await diagnose(none);
    expect(found.get("nix")).toMatch(/^failure: there is no Nix? in PATH/i);
    expect(found.get("ssh-config")).toMatch(/^warning: .*no ssh in PATH/);
  });

  test("that lacks URLs, keys and sense, each told to who can mend it", async () => {
    await multi.restart("substitute = false\nnarinfo-cache-negative-ttl = 7200");
    const bare = await diagnose();
    expect(bare.found.get("urls")).toMatch(/^failure: Nix would ignore all its URLs.* -> Let root.*seq 0 15/);
    expect(bare.found.get("keys")).toMatch(/^failure: Nix knows no key but cache.nixos.org-1/);
    expect(bare.found.get("signatures")).toMatch(/^failure: of 2 paths looked at, 0 .*; others by pi-1/);
    expect(bare.found.get("nix-settings")).toMatch(/narinfo-cache-negative-ttl = 7200/);
    await multi.restart(conf.replace(/ \S+\/pi\/5\S+/, ""));
    expect((await diagnose()).found.get("urls")).toMatch(
      /^failure: Nix takes only 15 of its 16 URLs.*for n in 5;/,
    );
    await multi.restart(`${conf}\ntrusted-users = root nobody`);
    const trusted = await diagnose();
    expect(trusted.found.get("urls")).toMatch(/^warning: root has allowed all 16.* -> Take your name/);
    expect(trusted.found.get("keys")).toBe("ok: Nix knows pi-1");
  });

  test("whose paths come unsigned", async () => {
    const path = await fixture.far.store.addTree("unsigned", "x", { references: [] });
    onTestFinished(() => void fixture.far.store.run("nix-store", "--delete", path));
    expect((await diagnose()).found.get("signatures")).toMatch(
      /^warning: of 3 paths looked at, 2 are signed .* and 1 by none \(.*-unsigned\) -> .*secret-key-files/,
    );
  });

  test("of root's that takes in a file of the user's", async () => {
    await multi.restart(`${conf}\n!include ${home.overrideFile}`);
    const { code, found } = await diagnose();
    expect(code).toBe(1);
    expect(found.get("system-conf")).toMatch(/^failure: DANGER: .*nix-tether.conf.* -> Take that line out/);
  });
});

describe("what was to run", () => {
  test("is no daemon", async () => {
    const { code, found } = await diagnose();
    expect(found.get("daemon")).toMatch(
      /^failure: no daemon runs.* -> Start it: `systemctl --user enable --now/,
    );
    expect(found.get("gateway")).toBe("skipped: waits for: Daemon");
    expect(code).toBe(1);
  });

  test("is a daemon that sees what we do not", async () => {
    const daemon = home.start();
    await home.untilListed(["pi"]);
    // It has read the configuration, and we read another.
    await home.configure(cacheTable("nas", settings(home, { port: await freePort() })));
    expect((await diagnose()).found.get("state")).toMatch(/^failure: the daemon does not know this cache/);
    await home.configure(cacheTable("pi", settings(home, { port: await freePort() })));
    expect((await diagnose()).found.get("state")).toMatch(/^warning: the daemon says that it is online/);
    daemon.kill("SIGKILL");
    await daemon.ended;
  });

  test("is a daemon that can not do what we can, and another program at its port", async () => {
    const other = http.createServer((_request, response) => response.writeHead(404).end());
    other.listen(home.port, "127.0.0.1");
    await once(other, "listening");
    onTestFinished(() => void other.close());
    await home.configure(cacheTable("pi", settings(home, { "identity-file": join(home.dir, "gone") })));
    const daemon = home.start();
    await expect.poll(async () => (await home.cache("pi")).state, { timeout: 10_000 }).toBe("waiting");
    await home.configure(cacheTable("pi", settings(home)));
    const { code, found } = await diagnose();
    expect(code).toBe(1);
    expect(found.get("state")).toMatch(
      /^failure: the daemon has not reached it, other than this command: .*gone/,
    );
    expect(found.get("daemon")).toMatch(/^ok: .*\nwarning: it says: .*port/);
    expect(found.get("gateway")).toMatch(/^failure: who answers at .* knows no pi \(HTTP 404\)/);
    daemon.kill("SIGKILL");
    await daemon.ended;
  });

  test("is no hook, or one that anybody may change", async () => {
    const uploading = `[uploads]\nto = ["pi"]\n${cacheTable("pi", settings(home))}`;
    await home.configure(uploading);
    expect((await diagnose()).found.get("hook")).toMatch(
      /^failure: Nix runs no post-build hook.* -> Add this line/,
    );
    await mkdir(join(home.dir, "open"));
    const hook = join(home.dir, "open/hook.sh");
    await writeFile(hook, "#!/bin/sh\n");
    await chmod(hook, 0o755);
    await multi.restart(`${conf}\npost-build-hook = ${hook}`);
    await home.configure(uploading);
    expect((await diagnose()).found.get("hook")).toMatch(/^failure: DANGER: root runs the post-build hook/);
  });
});

test("an interruption ends it soon, while somebody far away keeps silent", async () => {
  const server = net.createServer((socket) => socket.on("error", () => undefined));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as net.AddressInfo;
  await home.configure(cacheTable("pi", settings(home, { port })));
  const doctor = home.launch("doctor");
  await once(server, "connection");
  const started = performance.now();
  doctor.kill("SIGINT");
  expect(await doctor.ended).toMatchObject({ code: 1, stderr: "" });
  expect(performance.now() - started).toBeLessThan(4_000);
});
