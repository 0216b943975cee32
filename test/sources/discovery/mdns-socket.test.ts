// Real sockets on the loopback interface, where multicast works without any other network.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { NetworkInterfaceInfo } from "node:os";

import { Bonjour } from "bonjour-service";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createDiscovery, type Discovery } from "../../../src/sources/discovery.js";

const device = (address: string, prefix: number): NetworkInterfaceInfo => ({
  family: "IPv4",
  address,
  cidr: `${address}/${prefix}`,
  netmask: "",
  mac: "00:00:00:00:00:00",
  internal: address.startsWith("127."),
});
const loopback = { lo: [device("127.0.0.1", 8)] };
const name = `nix-tether-test-${process.pid}.local`;

let trouble: string[];
let discovery: Discovery | undefined;

function start(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): Discovery {
  trouble = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void trouble.push(line) });
  discovery = createDiscovery({ log, interfaces: () => interfaces, includeLoopback: true });
  return discovery;
}

const lookup = (host: string) => discovery!.lookup({ host }, new AbortController().signal);

afterEach(() => discovery?.close());

interface Mdns {
  on(event: "query", listener: (query: { questions: { name: string; type: string }[] }) => void): void;
  respond(records: object[]): void;
  destroy(done: () => void): void;
}

describe("on the loopback interface", () => {
  let responder: Mdns;
  let sender: Socket;

  beforeEach(async () => {
    const bonjour = new Bonjour({ interface: "127.0.0.1", bind: "0.0.0.0" } as object);
    responder = (bonjour as unknown as { server: { mdns: Mdns } }).server.mdns;
    responder.on("query", ({ questions }) => {
      if (!questions.some((question) => question.name === name && question.type === "A")) return;
      responder.respond([{ name, type: "A", ttl: 120, flush: true, data: "127.0.0.7" }]);
    });
    sender = createSocket("udp4").bind(0, "127.0.0.1");
    await once(sender, "listening");
    sender.setMulticastInterface("127.0.0.1");
  });

  afterEach(async () => {
    sender.close();
    await new Promise<void>((resolve) => responder.destroy(resolve));
  });

  it("finds what another program publishes", async () => {
    start(loopback);
    expect(await lookup(name)).toEqual({ endpoints: [{ address: "127.0.0.7", family: 4 }], how: "mdns" });
  });

  it("tells of the first answer at once when asked to, and of the others a moment later", async () => {
    start(loopback);
    responder.on("query", () => {
      setTimeout(() => responder.respond([{ name, type: "A", ttl: 120, data: "127.0.0.8" }]), 20);
    });
    const { signal } = new AbortController();
    const { endpoints, more } = await discovery!.lookup({ host: name }, signal, { eager: true });
    expect(endpoints).toEqual([{ address: "127.0.0.7", family: 4 }]);
    expect(await more).toEqual([{ address: "127.0.0.8", family: 4 }]);
  });

  it("does not fall over packets that are no DNS", async () => {
    start(loopback);
    expect((await lookup(name)).endpoints).toHaveLength(1);
    for (const bytes of ["", "x", "\0".repeat(12), "\xff".repeat(400), `\0\0\x84\0${"\xff".repeat(60)}`]) {
      await new Promise((resolve) => {
        sender.send(Buffer.from(bytes, "latin1"), 5353, "224.0.0.251", resolve);
      });
    }
    expect((await lookup(name)).endpoints).toHaveLength(1);
  });

  it("does not believe what does not come from the link", async () => {
    start({ lo: [{ ...device("127.0.0.2", 8), cidr: "127.0.0.2/31" }] });
    expect((await lookup(name)).endpoints).toEqual([]);
  });
});

describe("on an interface that is not there", () => {
  it("finds nothing, fails nothing, and says what is wrong once", async () => {
    const ghost = {
      ...device("203.0.113.7", 24),
      family: "IPv6",
      address: "fe80::7",
      cidr: "fe80::7/64",
      scopeid: 4242,
    };
    start({ ghost0: [device("203.0.113.7", 24), ghost as NetworkInterfaceInfo] });
    expect((await lookup("pi.local")).endpoints).toEqual([]);
    discovery?.refresh({ force: true });
    await discovery?.close();
    const told = trouble.filter((line) => line.includes("multicast trouble"));
    expect(told.length).toBeGreaterThanOrEqual(2);
    expect(told.length).toBeLessThanOrEqual(8);
  });
});
