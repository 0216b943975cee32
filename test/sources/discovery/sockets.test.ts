import type { NetworkInterfaceInfo } from "node:os";

import { pino } from "pino";
import { describe, expect, it } from "vitest";

import type { MulticastLink } from "../../../src/sources/discovery/links.js";
import type { MdnsSocketEvents } from "../../../src/sources/discovery/mdns-socket.js";
import type { Question } from "../../../src/sources/discovery/picture.js";
import { createSockets } from "../../../src/sources/discovery/sockets.js";
import { addressRecord, serviceRecord } from "../../support/mdns-records.js";

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

const device = (address: string): NetworkInterfaceInfo[] => [
  { family: "IPv4", address, cidr: `${address}/24`, netmask: "", mac: "02:00:00:00:00:01", internal: false },
];

const loopback = device("127.0.0.1").map((info) => ({ ...info, internal: true }));

function start(initial: Interfaces) {
  let interfaces: Interfaces | Error = initial;
  const open = new Map<string, { events: MdnsSocketEvents; asked: (readonly Question[])[] }>();
  const history: string[] = [];
  const logged: string[] = [];
  const log = pino({ level: "debug", base: null }, { write: (line: string) => void logged.push(line) });
  const sockets = createSockets({
    log,
    includeLoopback: true,
    interfaces: () => {
      if (interfaces instanceof Error) throw interfaces;
      return interfaces;
    },
    onRecords: (link, records) => history.push(`heard ${link} ${records.length}`),
    onGone: (link, same) => history.push(`gone ${link}${same ? ", the same again" : ""}`),
    open: (link: MulticastLink, events) => {
      history.push(`open ${link.address}`);
      const asked: (readonly Question[])[] = [];
      open.set(link.address, { events, asked });
      return {
        link,
        ask: (questions) => asked.push(questions),
        close: async () => {
          history.push(`close ${link.address}`);
          open.delete(link.address);
        },
      };
    },
  });
  return { sockets, open, history, logged, set: (next: Interfaces | Error) => (interfaces = next) };
}

describe("createSockets", () => {
  it("opens nothing by itself, one socket for each link on refresh, and nothing twice", () => {
    const { sockets, history } = start({ eth0: device("10.0.0.2"), wlan0: device("10.1.0.2") });
    expect(history).toEqual([]);
    sockets.refresh(false);
    sockets.refresh(false);
    expect(history).toEqual(["open 10.0.0.2", "open 10.1.0.2"]);
  });

  it("replaces what has changed and leaves the rest alone", () => {
    const { sockets, history, set } = start({ eth0: device("10.0.0.2"), wlan0: device("10.1.0.2") });
    sockets.refresh(false);
    history.length = 0;
    set({ eth0: device("10.0.0.9"), wlan0: device("10.1.0.2"), usb0: device("10.2.0.2") });
    sockets.refresh(false);
    expect(history).toEqual(["close 10.0.0.2", "gone eth0", "open 10.0.0.9", "open 10.2.0.2"]);
  });

  it("rebuilds everything by force, and says that the link seems to be the same", () => {
    const { sockets, history } = start({ eth0: device("10.0.0.2") });
    sockets.refresh(false);
    sockets.refresh(true);
    expect(history).toEqual([
      "open 10.0.0.2",
      "close 10.0.0.2",
      "gone eth0, the same again",
      "open 10.0.0.2",
    ]);
  });

  it("asks on every link and tells on how many", () => {
    const { sockets, open, set } = start({ eth0: device("10.0.0.2"), wlan0: device("10.1.0.2") });
    const packets = [
      [{ name: "pi.local", type: "A" }] as const,
      [{ name: "pi.local", type: "AAAA" }] as const,
    ];
    expect(sockets.ask(packets)).toBe(0);
    sockets.refresh(false);
    expect(sockets.ask(packets)).toBe(2);
    for (const { asked } of open.values()) expect(asked).toEqual(packets);
    set({});
    sockets.refresh(false);
    expect(sockets.ask(packets)).toBe(0);
  });

  it("passes on what is heard, and logs each kind of trouble once for each socket", () => {
    const { sockets, open, history, logged } = start({ eth0: device("10.0.0.2") });
    sockets.refresh(false);
    const { events } = open.get("10.0.0.2")!;
    events.onRecords([addressRecord("pi.local", "10.0.0.1")]);
    expect(history.at(-1)).toBe("heard eth0 1");
    logged.length = 0;
    for (let index = 0; index < 5; index += 1) events.onTrouble("send", new Error("ENETUNREACH"));
    events.onTrouble("join", new Error("ENODEV"));
    expect(logged).toHaveLength(2);
  });

  it("believes a loopback address only where loopback is what it was heard on", () => {
    const { sockets, open, history } = start({ lo: loopback, eth0: device("10.0.0.2") });
    sockets.refresh(false);
    const records = [
      addressRecord("pi.local", "127.0.0.1"),
      addressRecord("pi.local", "::1"),
      addressRecord("pi.local", "10.0.0.1"),
      serviceRecord("pi._ssh._tcp.local", "pi.local", 22),
    ];
    open.get("10.0.0.2")!.events.onRecords(records);
    expect(history.at(-1)).toBe("heard eth0 2");
    open.get("127.0.0.1")!.events.onRecords(records);
    expect(history.at(-1)).toBe("heard lo 4");
  });

  it("keeps what it has when the interfaces cannot be listed", () => {
    const { sockets, history, set } = start({ eth0: device("10.0.0.2") });
    sockets.refresh(false);
    set(new Error("address family not supported"));
    sockets.refresh(true);
    expect(history).toEqual(["open 10.0.0.2"]);
  });

  it("opens nothing any more once closed", async () => {
    const { sockets, history } = start({ eth0: device("10.0.0.2") });
    sockets.refresh(false);
    await sockets.close();
    sockets.refresh(true);
    expect(history).toEqual(["open 10.0.0.2", "close 10.0.0.2"]);
  });
});
