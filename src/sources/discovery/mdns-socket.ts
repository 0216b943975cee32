// One multicast socket on one interface, spoken to through bonjour-service. The only file of the daemon that
// knows that package.

import { createSocket, type Socket } from "node:dgram";
import type { EventEmitter } from "node:events";

import { Bonjour } from "bonjour-service";

import type { MulticastLink } from "./links.js";
import type { Question } from "./picture.js";
import { type HeardRecord, recordsOf } from "./records.js";

/** A socket that asks on its link. */
export interface MdnsSocket {
  readonly link: MulticastLink;
  /** Sends one packet of questions; a failure is told to `onTrouble`. */
  ask(questions: readonly Question[]): void;
  /** Closes the socket; nothing is called back any more. Idempotent. */
  close(): Promise<void>;
}

/** What a socket tells. */
export interface MdnsSocketEvents {
  /** An answer or announcement came from the socket's own link. */
  readonly onRecords: (records: HeardRecord[]) => void;
  /**
   * Something failed; `doing` is a stable word for it. The socket goes on and tries again at the next
   * question.
   */
  readonly onTrouble: (doing: "bind" | "join" | "send" | "read", error: Error) => void;
}

/** What bonjour-service's class holds and its types leave out: the instance of multicast-dns below it. */
interface BonjourInternals {
  readonly server: { readonly mdns: MulticastDns };
}

interface MulticastDns extends EventEmitter {
  query(packet: { questions: readonly Question[] }, done: (error?: Error | null) => void): void;
  destroy(done: () => void): void;
}

const GROUP = { 4: "224.0.0.251", 6: "ff02::fb" } as const;

/**
 * RFC 6762 section 11: all multicast DNS packets are sent with this, so that a router's copy can be told
 * apart.
 */
const HOP_LIMIT = 255;

/**
 * Opens a socket on port 5353 of a link, next to whatever else listens there (avahi-daemon,
 * systemd-resolved).
 */
export function openMdnsSocket(link: MulticastLink, events: MdnsSocketEvents): MdnsSocket {
  const six = link.family === 6;
  const group = GROUP[link.family];
  const interfaceAddress = six ? `::%${link.name}` : link.address;
  let joined = false;
  let closing: Promise<void> | undefined;
  const trouble = (doing: Parameters<MdnsSocketEvents["onTrouble"]>[0]) => (error: unknown) => {
    if (closing === undefined) events.onTrouble(doing, error as Error);
  };

  const socket = createSocket({ type: six ? "udp6" : "udp4", reuseAddr: true, ipv6Only: six });
  socket.on("error", trouble("bind"));
  const join = (): void => {
    try {
      joinGroup(socket, group, interfaceAddress);
      joined = true;
    } catch (error) {
      trouble("join")(error);
    }
  };
  // Before multicast-dns's own listener, which sends what has been waiting.
  socket.once("listening", join);

  const options = {
    socket,
    type: six ? "udp6" : "udp4",
    ip: group,
    interface: interfaceAddress,
    bind: bindAddress(link),
    // Its own joining polls every five seconds for as long as it lives; ours is done when there is a reason.
    multicast: false,
  };
  const bonjour = new Bonjour(options as object, trouble("send")) as unknown as BonjourInternals;
  const { mdns } = bonjour.server;
  mdns.on("error", trouble("bind"));
  mdns.on("warning", trouble("read"));
  mdns.on("response", (packet: object, from: { readonly address: string }) => {
    // A machine with a routed IPv6 address answers from that one, and it may be of a network that we know nothing of.
    const isFromLink = (six && isGroupBound) || link.hears(from.address);
    if (closing === undefined && isFromLink) events.onRecords(recordsOf(packet));
  });

  return {
    link,
    ask: (questions) => {
      if (closing !== undefined) return;
      if (isListening(socket) && !joined) join();
      mdns.query({ questions }, (error) => {
        if (error !== undefined && error !== null) trouble("send")(error);
      });
    },
    close: () => {
      closing ??= new Promise((resolve) => mdns.destroy(resolve));
      return closing;
    },
  };
}

/**
 * Bound to the group, a Linux socket hears multicast only: nobody beyond the link can reach it, and unicast
 * answers to another program on port 5353 stay that program's. One for IPv6 hears its own interface only. Elsewhere
 * such an address cannot be bound.
 */
const isGroupBound = process.platform === "linux";

function bindAddress(link: MulticastLink): string {
  if (!isGroupBound) return link.family === 6 ? "::" : "0.0.0.0";
  return link.family === 6 ? `${GROUP[6]}%${link.name}` : GROUP[4];
}

function joinGroup(socket: Socket, group: string, interfaceAddress: string): void {
  try {
    socket.addMembership(group, interfaceAddress);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
  }
  socket.setMulticastInterface(interfaceAddress);
  socket.setMulticastTTL(HOP_LIMIT);
}

function isListening(socket: Socket): boolean {
  try {
    socket.address();
    return true;
  } catch {
    return false;
  }
}
