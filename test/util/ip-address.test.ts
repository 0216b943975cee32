import { expect, test } from "vitest";
import { canonicalAddress } from "../../src/util/ip-address.js";

test.each([
  ["192.168.1.1", "192.168.1.1"],
  ["FE80:0:0::0001", "fe80::1"],
  ["fe80::1%wlan0", "fe80::1"],
  ["192.168.1.256", null],
  ["router", null],
  ["", null],
])("%j is the address %j", (text, address) => {
  expect(canonicalAddress(text)).toBe(address);
});
