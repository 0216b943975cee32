// A `.local` name for the demo's stand-in, answered for by multicast on the loopback interface, as avahi does it for a
// real machine on a real one.

import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import type { EventEmitter } from "node:events";
import { networkInterfaces, type NetworkInterfaceInfo } from "node:os";
import { Bonjour } from "bonjour-service";
import { pino } from "pino";
import { createDiscovery } from "../sources/discovery.js";
import { messageOf } from "../util/errors.js";

/** The name. It is silent until it announces itself. */
export interface LoopbackName {
  /** `nix-tether-demo-<random>.local`. */
  readonly name: string;
  /** Says that it is here, and answers whoever asks from now on. */
  announce(): Promise<void>;
  /** Withdraws the name, and answers no more. */
  goodbye(): Promise<void>;
  /** What has gone wrong on its socket last, or null. */
  trouble(): string | null;
  /** Says goodbye if it is here, and closes the socket. Idempotent. */
  close(): Promise<void>;
}

const group = "224.0.0.251";
/** Seconds; RFC 6762 section 10 has this for host names. */
const ttl = 120;
/** How long one packet on loopback may take to leave, and the self-check to be answered, in milliseconds. */
const sendMs = 500;
const checkMs = 1_000;

/** What bonjour-service's class holds and its types leave out; its own `publish` tells no loopback address. */
interface BonjourInternals {
  readonly server: { readonly mdns: MulticastDns };
}

interface MulticastDns extends EventEmitter {
  respond(answers: readonly object[], done: (error?: Error | null) => void): void;
  destroy(done: () => void): void;
}

interface Query {
  readonly questions: readonly { readonly name: string; readonly type: string }[];
}

/** A new name for `address`, which is one of 127.0.0.0/8. */
export function openLoopbackName(address: string): LoopbackName {
  const name = `nix-tether-demo-${randomBytes(4).toString("hex")}.local`;
  let here = false;
  let trouble: string | null = null;
  let closing: Promise<void> | null = null;
  const onTrouble = (error: unknown): void => {
    trouble = messageOf(error);
  };
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.on("error", onTrouble);
  socket.once("listening", () => {
    try {
      keepTo(socket, address);
    } catch (error) {
      onTrouble(error);
    }
  });
  const options = { socket, ip: group, bind: "0.0.0.0", multicast: false };
  const { mdns } = (new Bonjour(options as object, onTrouble) as unknown as BonjourInternals).server;
  const tell = (seconds: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, sendMs);
      mdns.respond([{ name, type: "A", ttl: seconds, flush: true, data: address }], (error) => {
        if (error !== undefined && error !== null) onTrouble(error);
        clearTimeout(timer);
        resolve();
      });
    });
  mdns.on("error", onTrouble);
  mdns.on("warning", onTrouble);
  mdns.on("query", ({ questions }: Query) => {
    const asked = questions.some((one) => one.name.toLowerCase() === name && /^(A|ANY)$/.test(one.type));
    if (here && asked) void tell(ttl);
  });
  const goodbye = async (): Promise<void> => {
    if (!here) return;
    here = false;
    await tell(0);
  };
  return {
    name,
    announce: async () => {
      here = true;
      await tell(ttl);
    },
    goodbye,
    trouble: () => trouble,
    close: () => {
      closing ??= goodbye().then(() => new Promise((resolve) => mdns.destroy(resolve)));
      return closing;
    },
  };
}

/** The interface first: whatever fails after that, the name is told to no other one. */
function keepTo(socket: Socket, address: string): void {
  socket.setMulticastInterface(address);
  socket.setMulticastTTL(255);
  socket.addMembership(group, address);
}

/** Whether a question for `name` on the loopback interface is answered here, asked as the daemon asks. */
export async function isFound(name: string, signal: AbortSignal): Promise<boolean> {
  const log = pino({ level: "silent" });
  const discovery = createDiscovery({ log, includeLoopback: true, interfaces: loopbackOnly });
  try {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(checkMs)]);
    return (await discovery.lookup({ host: name }, soon)).endpoints.length > 0;
  } catch {
    signal.throwIfAborted();
    return false;
  } finally {
    await discovery.close();
  }
}

function loopbackOnly(): NodeJS.Dict<NetworkInterfaceInfo[]> {
  const all = Object.entries(networkInterfaces());
  return Object.fromEntries(all.map(([name, infos]) => [name, infos?.filter((info) => info.internal)]));
}
