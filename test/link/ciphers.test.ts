import { describe, expect, test } from "vitest";
import { aesIn, cipherOrder, configuredCiphers } from "../../src/link/ciphers.js";
import { interpretSshConfig } from "../../src/link/ssh-config.js";

describe("cipherOrder", () => {
  test.each([
    [true, true, "aes128-gcm@openssh.com"],
    [true, null, "aes128-gcm@openssh.com"],
    [null, null, "aes128-gcm@openssh.com"],
    [null, true, "aes128-gcm@openssh.com"],
    [true, false, "chacha20-poly1305@openssh.com"],
    [false, true, "chacha20-poly1305@openssh.com"],
    [false, null, "chacha20-poly1305@openssh.com"],
    [false, false, "chacha20-poly1305@openssh.com"],
  ])("with AES instructions here (%s) and there (%s) begins with %s", (here, there, first) => {
    const order = cipherOrder({ configured: null, here, there });
    expect(order[0]).toBe(first);
    expect(order.toSorted()).toEqual(cipherOrder({ configured: null, here: true, there: true }).toSorted());
    expect(order.filter((one) => one.startsWith("aes")).slice(0, 2)).toEqual([
      "aes128-gcm@openssh.com",
      "aes256-gcm@openssh.com",
    ]);
  });

  test("leaves what somebody has chosen as it is", () => {
    const configured = ["aes256-ctr"] as const;
    expect(cipherOrder({ configured, here: false, there: false })).toEqual(["aes256-ctr"]);
  });
});

describe("configuredCiphers", () => {
  test.each([
    ["no answer of ssh", null, null],
    [
      "OpenSSH's default until 9.9",
      "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
      null,
    ],
    [
      "OpenSSH's default since 10.0",
      "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr",
      null,
    ],
    ["a choice, in its order", "aes256-ctr,aes128-gcm@openssh.com", ["aes256-ctr", "aes128-gcm@openssh.com"]],
    ["one that only OpenSSH has", "rijndael-cbc@lysator.liu.se,aes128-cbc", ["aes128-cbc"]],
  ])("%s", (_what, text, expected) => {
    expect(configuredCiphers(text)).toEqual(expected);
  });

  test("nothing that we have is an error that says so", () => {
    const text = "hostname pi.local\nciphers rijndael-cbc@lysator.liu.se\n";
    const interpret = () => interpretSshConfig(text, { host: "pi.local" }, {});
    expect(interpret).toThrow(expect.objectContaining({ code: "ssh-config-invalid" }));
    expect(interpret).toThrow("rijndael-cbc");
  });
});

describe("aesIn", () => {
  test.each([
    ["x86 with", "processor\t: 0\nflags\t\t: fpu sse4_2 aes avx\nbugs\t\t:\n", true],
    ["x86 without", "processor\t: 0\nflags\t\t: fpu sse4_2 vaes avx\n", false],
    ["a Raspberry Pi 5", "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1\n", true],
    ["a Raspberry Pi 4", "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n", false],
    ["RISC-V", "processor\t: 0\nisa\t\t: rv64imafdc\n", null],
    ["cut short", "flags\t\t: fpu vme", null],
    ["no such file", "", null],
  ])("%s", (_what, text, expected) => {
    expect(aesIn(text)).toBe(expected);
  });
});
