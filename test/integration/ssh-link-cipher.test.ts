// Which cipher is agreed upon with a real sshd, and what a machine lets us see of its processor.

import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { aesIn, cipherOrder, type HasAes } from "../../src/link/ciphers.js";
import { aesThere } from "../../src/link/processors.js";
import { makeLinkFixture, type LinkFixture } from "../support/link-fixture.js";

let fixture: LinkFixture;
beforeAll(async () => void (fixture = await makeLinkFixture()));
afterEach(() => fixture.endTest());
afterAll(() => fixture.dispose());

const chacha = "chacha20-poly1305@openssh.com";
const gcm = "aes128-gcm@openssh.com";

test("the one that suits both ends", async () => {
  const sshd = await fixture.sshd();
  const ends: [HasAes, HasAes, string][] = [
    [true, true, gcm],
    [true, null, gcm],
    [true, false, chacha],
    [false, true, chacha],
  ];
  for (const [here, there, cipher] of ends) {
    const ciphersFor = () => cipherOrder({ configured: null, here, there });
    expect((await fixture.connect(sshd, { ciphersFor })).cipher).toBe(cipher);
  }
});

test("the one that sshd allows, whichever it is", async () => {
  for (const cipher of [chacha, "aes256-gcm@openssh.com", "aes192-ctr"]) {
    const sshd = await fixture.sshd({ config: [`Ciphers ${cipher}`] });
    expect((await fixture.connect(sshd)).cipher).toBe(cipher);
  }
});

test("what ssh_config says wins", async () => {
  const sshd = await fixture.sshd();
  await fixture.sshConfig("Ciphers aes256-ctr,aes128-gcm@openssh.com");
  expect((await fixture.connect(sshd)).cipher).toBe("aes256-ctr");
  await fixture.sshConfig("Ciphers aes256-ctr");
  const picky = await fixture.sshd({ config: [`Ciphers ${gcm}`] });
  await expect(fixture.connect(picky)).rejects.toMatchObject({
    code: "ssh-failed",
    message: expect.stringContaining("cipher"),
  });
});

test("the processor is seen where commands run, and nothing where they do not", async () => {
  const link = await fixture.connect(await fixture.sshd());
  expect(await aesThere(link)).toBe(aesIn(readFileSync("/proc/cpuinfo", "latin1")));
  const restricted = `restrict,command="nix-daemon --stdio" ${fixture.key.publicKey}`;
  const forced = await fixture.connect(await fixture.sshd({ authorizedKeys: [restricted] }));
  expect(forced.transport).toBe("stdio");
  expect(await aesThere(forced)).toBeNull();
  expect(await forced.probe(5_000)).toBe(true);
});
