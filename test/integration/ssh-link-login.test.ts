// How the link logs in: a real ssh-agent in all its moods, key files, and an sshd that will not have any of it.

import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";
import { makeKey, startAgent, type TestKey } from "../support/sshd.js";

let fixture: LinkFixture;
let encrypted: TestKey;
let stranger: TestKey;
beforeAll(async () => {
  fixture = await makeLinkFixture();
  encrypted = await makeKey(fixture.dir, "encrypted", { passphrase: "secret" });
  stranger = await makeKey(fixture.dir, "stranger");
});
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

const noAgent = { SSH_AUTH_SOCK: undefined };

describe("by the agent", () => {
  test("of the environment, with Ed25519, ECDSA and RSA keys", async () => {
    for (const type of ["ed25519", "ecdsa", "rsa"] as const) {
      const key = await makeKey(fixture.dir, `agent_${type}`, { type });
      await fixture.agent.clear();
      await fixture.agent.add(key.file);
      const sshd = await fixture.sshd({ authorizedKeys: [key.publicKey] });
      await fixture.connect(sshd, { env: { HOME: "/nonexistent" } });
    }
  });

  test("of the configuration, of ssh_config, and at a usual place", async () => {
    const sshd = await fixture.sshd();
    await fixture.connect(sshd, { env: noAgent, config: { identityAgent: fixture.agent.socket } });
    await fixture.sshConfig("IdentityAgent $MY_AGENT");
    await fixture.connect(sshd, { env: { ...noAgent, MY_AGENT: fixture.agent.socket } });
    await fixture.sshConfig("");
    const atHome = await startAgent(join(fixture.dir, "ssh-agent.socket"));
    try {
      await atHome.add(fixture.key.file);
      await fixture.connect(sshd, { env: { SSH_AUTH_SOCK: "/nonexistent", XDG_RUNTIME_DIR: fixture.dir } });
    } finally {
      await atHome.stop();
    }
  });

  test("with the right key among ten, named by an identity file", async () => {
    await fixture.agent.clear();
    for (let index = 0; index < 9; index += 1) {
      await fixture.agent.add((await makeKey(fixture.dir, `many_${index}`)).file);
    }
    await fixture.agent.add(fixture.key.file);
    const sshd = await fixture.sshd();
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "auth-failed" });
    await fixture.connect(sshd, { config: { identityFiles: [`${fixture.key.file}.pub`] } });
  });

  test("that is locked, then empty, then has the key", async () => {
    const sshd = await fixture.sshd();
    await fixture.agent.lock();
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "agent-locked",
      remedy: expect.stringContaining("ssh-add -X"),
    });
    await fixture.agent.unlock();
    await fixture.agent.clear();
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "agent-empty",
      message: expect.not.stringContaining("locked"),
    });
    await fixture.agent.add(fixture.key.file);
    await fixture.connect(sshd);
    expect(sshd.log()).not.toContain("Failed publickey");
  });

  test("that is not there", async () => {
    const sshd = await fixture.sshd();
    await expect(fixture.connect(sshd, { env: noAgent })).rejects.toMatchObject({ code: "agent-missing" });
    await fixture.sshConfig("IdentityAgent none");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "no-identity" });
  });

  test("that refuses to sign", async () => {
    const sshd = await fixture.sshd();
    await fixture.agent.clear();
    await fixture.agent.add(fixture.key.file, "-c");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "agent-refused",
      message: expect.stringContaining("user_key"),
    });
  });

  test("with IdentitiesOnly", async () => {
    const sshd = await fixture.sshd();
    await fixture.sshConfig("IdentitiesOnly yes", `IdentityFile ${stranger.file}.pub`);
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "no-identity" });
    await fixture.sshConfig("IdentitiesOnly yes", `IdentityFile ${fixture.key.file}.pub`);
    await fixture.connect(sshd);
  });
});

describe("by a key file", () => {
  test("configured, of ssh_config, and after an agent that has only others", async () => {
    const sshd = await fixture.sshd();
    await fixture.connect(sshd, { env: noAgent, config: { identityFiles: [fixture.key.file] } });
    await fixture.agent.clear();
    await fixture.agent.add(stranger.file);
    await fixture.sshConfig(`IdentityFile ${fixture.key.file}`);
    await fixture.connect(sshd);
  });

  test("that is encrypted", async () => {
    const sshd = await fixture.sshd({ authorizedKeys: [encrypted.publicKey] });
    const config = { identityFiles: [encrypted.file] };
    await expect(fixture.connect(sshd, { env: noAgent, config })).rejects.toMatchObject({
      code: "key-encrypted",
      remedy: expect.stringContaining(`ssh-add ${encrypted.file}`),
    });
    await fixture.agent.clear();
    await expect(fixture.connect(sshd, { config })).rejects.toMatchObject({
      code: "agent-empty",
      remedy: expect.stringContaining(`ssh-add ${encrypted.file}`),
    });
  });

  test("that is missing or no key, when configured", async () => {
    const sshd = await fixture.sshd();
    const missing = { identityFiles: [join(fixture.dir, "nowhere")] };
    await expect(fixture.connect(sshd, { config: missing })).rejects.toMatchObject({
      code: "identity-missing",
    });
    const garbage = join(fixture.dir, "garbage");
    await writeFile(garbage, "hunter2 hunter2\n");
    await expect(fixture.connect(sshd, { config: { identityFiles: [garbage] } })).rejects.toMatchObject({
      code: "identity-missing",
      message: expect.not.stringContaining("hunter2"),
    });
  });

  test("missing ones of ssh_config are passed over", async () => {
    const sshd = await fixture.sshd();
    await fixture.sshConfig(`IdentityFile ${join(fixture.dir, "nowhere")}`);
    await fixture.connect(sshd);
  });
});

describe("not at all", () => {
  test("keys that sshd does not know are named by fingerprint and comment", async () => {
    const sshd = await fixture.sshd({ authorizedKeys: [] });
    await expect(fixture.connect(sshd, { config: { user: "root" } })).rejects.toMatchObject({
      code: "auth-failed",
      message: expect.stringMatching(/^root@pi\.test .*SHA256:\S{43} \(agent: user_key\)/),
    });
  });

  test("an unknown user", async () => {
    const sshd = await fixture.sshd();
    await expect(fixture.connect(sshd, { config: { user: "nobody-here" } })).rejects.toMatchObject({
      code: "auth-failed",
      message: expect.stringContaining("nobody-here@pi.test"),
    });
  });

  test("wrong keys are offered once, not again at every address of the machine", async () => {
    const sshd = await fixture.sshd({ authorizedKeys: [], config: ["LogLevel DEBUG"] });
    const endpoint = { address: sshd.address, family: 4 as const };
    await expect(fixture.connect(sshd, { endpoints: [endpoint, endpoint, endpoint] })).rejects.toMatchObject({
      code: "auth-failed",
    });
    expect(sshd.log().match(/Failed publickey/g)).toHaveLength(1);
  });

  test("a server that takes no keys, or wants more than a key", async () => {
    const none = await fixture.sshd({
      config: ["PubkeyAuthentication no", "PasswordAuthentication yes"],
    });
    await expect(fixture.connect(none)).rejects.toMatchObject({
      code: "auth-failed",
      message: expect.stringContaining("password"),
    });
    const both = await fixture.sshd({
      config: ["AuthenticationMethods publickey,password", "PasswordAuthentication yes"],
    });
    for (const config of [{}, { identityFiles: [fixture.key.file], identityAgent: "/nonexistent" }]) {
      await expect(fixture.connect(both, { config })).rejects.toMatchObject({
        code: "auth-failed",
        message: expect.stringContaining("wants more"),
      });
    }
  });

  test("a host behind another", async () => {
    const sshd = await fixture.sshd();
    await fixture.sshConfig("ProxyJump gate.test");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({ code: "proxy-unsupported" });
    await fixture.sshConfig("ProxyCommand tunnel --password hunter2 %h");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "proxy-unsupported",
      message: expect.not.stringContaining("hunter2"),
    });
  });

  test("an ssh_config that ssh refuses", async () => {
    const sshd = await fixture.sshd();
    await fixture.sshConfig("Nonsense yes");
    await expect(fixture.connect(sshd)).rejects.toMatchObject({
      code: "ssh-config-invalid",
      message: expect.stringMatching(/nonsense/i),
    });
  });

  test("without OpenSSH's programs", async () => {
    const sshd = await fixture.sshd();
    const empty = join(fixture.dir, "empty");
    await rm(empty, { recursive: true, force: true });
    await expect(fixture.connect(sshd, { env: { PATH: empty } })).rejects.toMatchObject({
      code: "ssh-keygen-missing",
    });
  });
});
