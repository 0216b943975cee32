import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createPicture, MAX_ENDPOINTS } from "../../../src/sources/discovery/picture.js";
import type { HeardRecord } from "../../../src/sources/discovery/records.js";
import {
  addressRecord as address,
  pointerRecord as pointer,
  serviceRecord as service,
} from "../../support/mdns-records.js";

const pi = { kind: "mdns", name: "pi.local" } as const;
const ssh = {
  kind: "service",
  service: "_ssh._tcp.local",
  instance: "pi._ssh._tcp.local",
  host: "pi.local",
} as const;
const addresses = (picture: { endpoints(): { address: string }[] }): string[] =>
  picture.endpoints().map((endpoint) => endpoint.address);

describe("the picture of a host", () => {
  it("has its addresses in the order heard, each once, link-local ones with the scope of their link", () => {
    const picture = createPicture(pi);
    picture.apply("eth0", [address("pi.local", "fe80::1"), address("pi.local", "10.0.0.1")], 0);
    picture.apply("wlan0", [address("pi.local", "10.0.0.1"), address("pi.local", "fe80::1")], 5);
    picture.apply("eth0", [address("pi.local", "fe80::1")], 6);
    expect(picture.endpoints()).toEqual([
      { address: "fe80::1%eth0", family: 6 },
      { address: "10.0.0.1", family: 4 },
      { address: "fe80::1%wlan0", family: 6 },
    ]);
  });

  it("asks for both address families in one packet, and for nothing else", () => {
    const picture = createPicture(pi);
    expect(picture.questions()).toEqual([
      [
        { name: "pi.local", type: "A" },
        { name: "pi.local", type: "AAAA" },
      ],
    ]);
    expect(picture.missing()).toEqual([]);
    expect(createPicture({ kind: "mdns", name: `${"a".repeat(64)}.local` }).questions()).toEqual([]);
  });

  it.each([
    ["another host's", address("other.local", "10.0.0.2")],
    ["a service's", service("pi.local", "pi.local", 22)],
    ["an unspecified", address("pi.local", "0.0.0.0")],
    ["an unspecified IPv6", address("pi.local", "::")],
    ["a multicast", address("pi.local", "224.0.0.251")],
    ["a broadcast", address("pi.local", "255.255.255.255")],
    ["an IPv6 multicast", address("pi.local", "ff02::fb")],
    ["a mapped", address("pi.local", "::ffff:10.0.0.1")],
  ])("is not concerned by %s record", (_what, record) => {
    const picture = createPicture(pi);
    expect(picture.apply("eth0", [record], 0)).toEqual({ concerned: false, gone: [] });
    expect(picture.endpoints()).toEqual([]);
  });

  it("replaces older addresses of the same family and link by a set with the cache-flush bit", () => {
    const picture = createPicture(pi);
    picture.apply("eth0", [address("pi.local", "10.0.0.1"), address("pi.local", "fe80::1")], 0);
    picture.apply("wlan0", [address("pi.local", "10.1.0.1")], 0);
    picture.apply("eth0", [address("pi.local", "10.0.0.8"), address("pi.local", "10.0.0.9")], 5000);
    expect(addresses(picture)).toEqual(["fe80::1%eth0", "10.1.0.1", "10.0.0.8", "10.0.0.9"]);
  });

  it("keeps what came within the last second, and everything when the bit is not set", () => {
    const picture = createPicture(pi);
    picture.apply("eth0", [address("pi.local", "10.0.0.1")], 0);
    picture.apply("eth0", [address("pi.local", "10.0.0.2")], 900);
    picture.apply("eth0", [address("pi.local", "10.0.0.3", { flush: false })], 5000);
    expect(addresses(picture)).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  });

  it("loses what a goodbye withdraws and says so, known before or not", () => {
    const picture = createPicture(pi);
    picture.apply("eth0", [address("pi.local", "10.0.0.1"), address("pi.local", "10.0.0.2")], 0);
    const first = picture.apply("eth0", [address("pi.local", "10.0.0.1", { ttl: 0, flush: false })], 10);
    expect(first).toEqual({ concerned: true, gone: [{ address: "10.0.0.1", family: 4 }] });
    expect(addresses(picture)).toEqual(["10.0.0.2"]);
    const unknown = createPicture(pi).apply("eth0", [address("pi.local", "fe80::1", { ttl: 0 })], 10);
    expect(unknown).toEqual({ concerned: true, gone: [{ address: "fe80::1%eth0", family: 6 }] });
  });

  it("does not call gone what another link still knows", () => {
    const picture = createPicture(pi);
    picture.apply("eth0", [address("pi.local", "10.0.0.1")], 0);
    picture.apply("wlan0", [address("pi.local", "10.0.0.1")], 0);
    expect(picture.apply("eth0", [address("pi.local", "10.0.0.1", { ttl: 0 })], 10).gone).toEqual([]);
    picture.forget("wlan0");
    expect(picture.endpoints()).toEqual([]);
  });

  it("stays bounded, whatever is said", () => {
    const said = fc.record({
      link: fc.constantFrom("eth0", "wlan0"),
      now: fc.nat(10_000),
      records: fc.array(
        fc.record({
          type: fc.constantFrom("A" as const),
          name: fc.constantFrom("pi.local", "other.local"),
          address: fc.ipV4(),
          ttl: fc.constantFrom(0, 120),
          flush: fc.boolean(),
        }),
        { maxLength: 40 },
      ),
    });
    fc.assert(
      fc.property(fc.array(said), (packets) => {
        const picture = createPicture(pi);
        for (const { link, records, now } of packets) picture.apply(link, records as HeardRecord[], now);
        const found = addresses(picture);
        expect(found.length).toBeLessThanOrEqual(MAX_ENDPOINTS);
        expect(new Set(found).size).toBe(found.length);
      }),
    );
  });

  it("holds the newest of very many addresses", () => {
    const picture = createPicture(pi);
    for (let index = 0; index < 500; index += 1) {
      picture.apply(
        "eth0",
        [address("pi.local", `10.0.${index >> 8}.${index & 255}`, { flush: false })],
        index,
      );
    }
    picture.apply("eth0", [address("pi.local", "10.9.9.9")], 5000);
    expect(addresses(picture)).toEqual(["10.9.9.9"]);
  });
});

describe("the picture of a service", () => {
  it("asks for the instance and for the service, and then for what the answers leave open", () => {
    const picture = createPicture(ssh);
    expect(picture.questions()).toEqual([
      [{ name: "pi._ssh._tcp.local", type: "SRV" }],
      [{ name: "_ssh._tcp.local", type: "PTR" }],
    ]);
    picture.apply("eth0", [pointer("_ssh._tcp.local", "pi._ssh._tcp.local")], 0);
    expect(picture.missing()).toEqual([{ name: "pi._ssh._tcp.local", type: "SRV" }]);
    picture.apply("eth0", [service("pi._ssh._tcp.local", "pi.local", 22)], 0);
    expect(picture.missing()).toEqual([
      { name: "pi.local", type: "A" },
      { name: "pi.local", type: "AAAA" },
    ]);
    picture.apply("eth0", [address("pi.local", "10.0.0.1")], 0);
    expect(picture.missing()).toEqual([]);
  });

  it("has the port of the service, whatever the order of the records", () => {
    const records = [
      address("pi.local", "10.0.0.1"),
      address("other.local", "10.0.0.2"),
      pointer("_ssh._tcp.local", "pi._ssh._tcp.local"),
      service("pi._ssh._tcp.local", "pi.local", 2222),
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(records, { minLength: records.length }), (shuffled) => {
        const picture = createPicture(ssh);
        expect(picture.apply("eth0", shuffled, 0).concerned).toBe(true);
        expect(picture.endpoints()).toEqual([{ address: "10.0.0.1", family: 4, port: 2222 }]);
      }),
    );
  });

  it("does not ask for an instance name with a dot, which only browsing finds", () => {
    const dotted = {
      kind: "service",
      service: "_ssh._tcp.local",
      instance: "pi..4._ssh._tcp.local",
    } as const;
    expect(createPicture(dotted).questions()).toEqual([[{ name: "_ssh._tcp.local", type: "PTR" }]]);
  });

  it("takes an instance of another name on the host, but not where the instance was named", () => {
    const records = [service("my pi._ssh._tcp.local", "pi.local", 22), address("pi.local", "10.0.0.1")];
    const byHost = createPicture(ssh);
    byHost.apply("eth0", records, 0);
    expect(addresses(byHost)).toEqual(["10.0.0.1"]);
    const { kind, service: name, instance } = ssh;
    const byInstance = createPicture({ kind, service: name, instance });
    byInstance.apply("eth0", records, 0);
    expect(addresses(byInstance)).toEqual([]);
  });

  it.each([
    ["another instance", service("nas._ssh._tcp.local", "nas.local", 22)],
    ["another service", service("pi._http._tcp.local", "pi.local", 80)],
    ["a host outside .local", service("pi._ssh._tcp.local", "evil.example.org", 22)],
  ])("is not concerned by %s", (_what, record) => {
    const picture = createPicture(ssh);
    const change = picture.apply("eth0", [record, address(record.target, "10.0.0.7")], 0);
    expect(change.concerned).toBe(false);
    expect(picture.endpoints()).toEqual([]);
  });

  it.each([
    ["the service record", service("pi._ssh._tcp.local", "pi.local", 22, { ttl: 0 })],
    ["the pointer", pointer("_ssh._tcp.local", "pi._ssh._tcp.local", { ttl: 0 })],
    ["the address", address("pi.local", "10.0.0.1", { ttl: 0 })],
  ])("is gone with the goodbye of %s", (_what, goodbye) => {
    const picture = createPicture(ssh);
    picture.apply(
      "eth0",
      [service("pi._ssh._tcp.local", "pi.local", 22), address("pi.local", "10.0.0.1")],
      0,
    );
    expect(picture.apply("eth0", [goodbye], 2000)).toEqual({
      concerned: true,
      gone: [{ address: "10.0.0.1", family: 4, port: 22 }],
    });
    expect(picture.endpoints()).toEqual([]);
  });

  it("finds the instance asked for on a network with very many others", () => {
    const picture = createPicture(ssh);
    for (let index = 0; index < 500; index += 1) {
      picture.apply("eth0", [pointer("_ssh._tcp.local", `n${index}._ssh._tcp.local`)], 0);
      picture.apply("eth0", [service(`s${index}._ssh._tcp.local`, `n${index}.local`, 22)], 0);
    }
    expect(picture.missing().length).toBeLessThan(100);
    picture.apply(
      "eth0",
      [service("pi._ssh._tcp.local", "pi.local", 22), address("pi.local", "10.0.0.1")],
      0,
    );
    expect(addresses(picture)).toEqual(["10.0.0.1"]);
  });
});
