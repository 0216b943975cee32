import * as fc from "fast-check";
import { expect, test } from "vitest";

import { encodeNix32, hexFromNix32, nix32Digits, nix32FromHex } from "../../src/protocol/nix32.js";

// What `nix-hash --to-base32` says of SHA-256 of "", "abc" and "hello".
test.each([
  [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
  ],
  [
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
  ],
  [
    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
  ],
])("%s is %s", (hex, digits) => {
  expect(nix32FromHex(hex)).toBe(digits);
});

test("a length that is no multiple of five bits is rounded up (SHA-1 of abc)", () => {
  expect(nix32FromHex("a9993e364706816aba3e25717850c26c9cd0d89d")).toBe("kpcd173cq987hw957sx6m0868wv3x6d9");
});

test("the digits are the number that the bytes are in little endian", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 64 }), (bytes) => {
      const number = bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
      const digits = encodeNix32(bytes);
      const back = [...digits].reduce((sum, digit) => sum * 32n + BigInt(nix32Digits.indexOf(digit)), 0n);
      expect(back).toBe(number);
      expect(digits.length).toBe(Math.ceil((bytes.length * 8) / 5));
    }),
  );
});

test("what was written is read again, and what is no SHA-256 is refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      expect(hexFromNix32(encodeNix32(bytes))).toBe(Buffer.from(bytes).toString("hex"));
    }),
  );
  expect(hexFromNix32("z".repeat(52))).toBeNull();
  expect(hexFromNix32("e".repeat(52))).toBeNull();
  expect(hexFromNix32("0".repeat(51))).toBeNull();
});
