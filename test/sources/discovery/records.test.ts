import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { recordsOf } from "../../../src/sources/discovery/records.js";

const raw = (fields: object): object => ({ name: "Pi.local", class: "IN", ttl: 120, flush: true, ...fields });

describe("recordsOf", () => {
  it("keeps addresses, services and pointers of answers and additionals, in order, in canonical form", () => {
    const answers = [
      raw({ type: "PTR", name: "_ssh._tcp.local", flush: false, data: "Pi._ssh._tcp.local" }),
      raw({ type: "SRV", name: "Pi._ssh._tcp.local", data: { target: "Pi.local", port: 22, weight: 0 } }),
    ];
    const additionals = [
      raw({ type: "AAAA", data: "fe80::1" }),
      raw({ type: "A", ttl: 0, data: "10.0.0.1" }),
    ];
    expect(recordsOf({ answers, additionals })).toEqual([
      { type: "PTR", name: "_ssh._tcp.local", ttl: 120, flush: false, target: "pi._ssh._tcp.local" },
      { type: "SRV", name: "pi._ssh._tcp.local", ttl: 120, flush: true, target: "pi.local", port: 22 },
      { type: "AAAA", name: "pi.local", ttl: 120, flush: true, address: "fe80::1" },
      { type: "A", name: "pi.local", ttl: 0, flush: true, address: "10.0.0.1" },
    ]);
  });

  it.each([
    ["an A record with an IPv6 address", { type: "A", data: "fe80::1" }],
    ["an address that is none", { type: "A", data: "10.0.0.256" }],
    ["an address that is no string", { type: "AAAA", data: Buffer.alloc(16) }],
    ["a service without a port", { type: "SRV", data: { target: "pi.local", port: 0 } }],
    ["a service without a target", { type: "SRV", data: { port: 22 } }],
    ["a pointer to nothing", { type: "PTR", data: null }],
    ["another class", { type: "A", class: "CH", data: "10.0.0.1" }],
    ["another type", { type: "TXT", data: [] }],
    ["no lifetime", { type: "A", ttl: undefined, data: "10.0.0.1" }],
  ])("passes over %s", (_what, fields) => {
    expect(recordsOf({ answers: [raw(fields)] })).toEqual([]);
  });

  it("looks at a bounded number", () => {
    const answers = Array.from({ length: 10_000 }, (_, index) =>
      raw({ type: "A", data: `10.0.${index >> 8}.${index & 255}` }),
    );
    expect(recordsOf({ answers }).length).toBeLessThanOrEqual(256);
  });

  it("throws on nothing", () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (answers, additionals) => {
        recordsOf({ answers, additionals });
      }),
    );
    const record = fc.record({
      name: fc.anything(),
      class: fc.constant("IN"),
      ttl: fc.integer(),
      type: fc.constantFrom("A", "AAAA", "SRV", "PTR"),
      data: fc.anything(),
    });
    fc.assert(fc.property(fc.array(record), (answers) => void recordsOf({ answers })));
  });
});
