import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isAskable, parseTarget, targetKey, unescapeLabel } from "../../../src/sources/discovery/target.js";

describe("parseTarget", () => {
  it.each([
    ["192.168.1.20", { kind: "address", endpoint: { address: "192.168.1.20", family: 4 } }],
    ["fd00::20", { kind: "address", endpoint: { address: "fd00::20", family: 6 } }],
    ["fe80::1%eth0", { kind: "address", endpoint: { address: "fe80::1%eth0", family: 6 } }],
    ["[fe80::1%eth0]", { kind: "address", endpoint: { address: "fe80::1%eth0", family: 6 } }],
    ["raspberrypi.local", { kind: "mdns", name: "raspberrypi.local" }],
    ["RaspberryPi.LOCAL.", { kind: "mdns", name: "raspberrypi.local" }],
    ["a.b.local", { kind: "mdns", name: "a.b.local" }],
    ["pi", { kind: "resolver", name: "pi" }],
    ["pi.example.org", { kind: "resolver", name: "pi.example.org" }],
    ["notlocal", { kind: "resolver", name: "notlocal" }],
  ])("%s", (host, expected) => {
    expect(parseTarget({ host })).toEqual(expected);
  });

  it("takes the instance from the host, and then believes any instance on that host", () => {
    expect(parseTarget({ host: "Pi.local", service: "_SSH._tcp" })).toEqual({
      kind: "service",
      service: "_ssh._tcp.local",
      instance: "pi._ssh._tcp.local",
      host: "pi.local",
    });
  });

  it("takes a named instance with spaces, dots and escapes, and only that", () => {
    expect(parseTarget({ host: "pi.local", service: "_ssh._tcp", instance: "My\\032Pi\\.2" })).toEqual({
      kind: "service",
      service: "_ssh._tcp.local",
      instance: "my pi.2._ssh._tcp.local",
    });
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.string(), fc.option(fc.string(), { nil: undefined }), (host, instance) => {
        parseTarget({ host });
        parseTarget({ host, service: "_ssh._tcp", ...(instance === undefined ? {} : { instance }) });
      }),
    );
  });

  it("gives equal keys to equal targets only", () => {
    const key = (host: string, service?: string, instance?: string): string => {
      const target = parseTarget({
        host,
        ...(service === undefined ? {} : { service }),
        ...(instance === undefined ? {} : { instance }),
      });
      if (target.kind === "address" || target.kind === "resolver") throw new Error("not a multicast target");
      return targetKey(target);
    };
    expect(key("PI.local")).toBe(key("pi.local."));
    expect(key("pi.local", "_ssh._tcp")).not.toBe(key("pi.local"));
    expect(key("pi.local", "_ssh._tcp")).not.toBe(key("pi.local", "_http._tcp"));
    expect(key("pi.local", "_ssh._tcp")).not.toBe(key("pi.local", "_ssh._tcp", "pi"));
  });
});

describe("unescapeLabel", () => {
  it.each([
    ["plain", "plain"],
    ["with space", "with space"],
    ["a\\032b", "a b"],
    ["a\\.b\\\\c", "a.b\\c"],
    ["\\195\\188ber", "über"],
    ["\\999", "999"],
    ["trailing\\", "trailing\\"],
    ["🥧", "🥧"],
  ])("%s", (text, expected) => {
    expect(unescapeLabel(text)).toBe(expected);
  });

  it("undoes escaping every byte", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const escaped = [...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, "0")}`).join("");
        expect(unescapeLabel(escaped)).toBe(text);
      }),
    );
  });
});

describe("isAskable", () => {
  it.each([
    ["pi.local", true],
    [`${"a".repeat(63)}.local`, true],
    [`${"a".repeat(64)}.local`, false],
    [`${"ü".repeat(32)}.local`, false],
    ["a..local", false],
    [".local", false],
    [`${"abcdefg.".repeat(32)}local`, false],
  ])("%s", (name, expected) => {
    expect(isAskable(name)).toBe(expected);
  });
});
