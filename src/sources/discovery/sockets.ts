// The multicast sockets of this machine, one for each interface and address family, kept in step with the
// interfaces.

import { networkInterfaces, type NetworkInterfaceInfo } from "node:os";

import type { Logger } from "pino";

import { messageOf } from "../../util/errors.js";
import { isLoopback, type MulticastLink, multicastLinks } from "./links.js";
import { type MdnsSocket, type MdnsSocketEvents, openMdnsSocket } from "./mdns-socket.js";
import type { Question } from "./picture.js";
import type { HeardRecord } from "./records.js";

/** See `createSockets`. */
export interface Sockets {
  /** Opens sockets for new links, closes those of gone or changed ones; with `force` all are made anew. */
  refresh(force: boolean): void;
  /** Asks on every link; each list is a packet. Returns on how many links. */
  ask(packets: readonly (readonly Question[])[]): number;
  /** Closes everything; no callback follows. */
  close(): Promise<void>;
}

/** What the sockets need and tell. */
export interface SocketsDeps {
  readonly log: Logger;
  readonly interfaces?: () => NodeJS.Dict<NetworkInterfaceInfo[]>;
  readonly includeLoopback: boolean;
  /** Records were heard on an interface. */
  readonly onRecords: (link: string, records: HeardRecord[]) => void;
  /** What was heard on this interface is void: it is gone, changed, or (`same`: as far as can be seen it is not) another one. */
  readonly onGone: (link: string, same: boolean) => void;
  readonly open?: (link: MulticastLink, events: MdnsSocketEvents) => MdnsSocket;
}

/** No sockets yet: the first `refresh` opens them. */
export function createSockets(deps: SocketsDeps): Sockets {
  const { log, interfaces = networkInterfaces, open = openMdnsSocket } = deps;
  const sockets = new Map<string, MdnsSocket>();
  const closings = new Set<Promise<void>>();
  let closed = false;

  const drop = (key: string, socket: MdnsSocket): void => {
    sockets.delete(key);
    const closing = socket.close().finally(() => closings.delete(closing));
    closings.add(closing);
  };

  const add = (link: MulticastLink): void => {
    const told = new Set<string>();
    const where = { interface: link.name, family: link.family };
    const socket = open(link, {
      onRecords: (records) => deps.onRecords(link.name, link.loopback ? records : records.filter(isNotOurs)),
      onTrouble: (doing, error) => {
        if (told.has(doing)) return;
        told.add(doing);
        log.debug({ ...where, doing, error: error.message }, "multicast trouble");
      },
    });
    sockets.set(link.key, socket);
    log.debug({ ...where, address: link.address }, "multicast link opened");
  };

  const wanted = (): MulticastLink[] | undefined => {
    try {
      return multicastLinks(interfaces(), { includeLoopback: deps.includeLoopback });
    } catch (error) {
      log.warn({ error: messageOf(error) }, "cannot list the network interfaces");
      return undefined;
    }
  };

  return {
    refresh: (force) => {
      const links = closed ? undefined : wanted();
      if (links === undefined) return;
      const keys = new Set(links.map((link) => link.key));
      for (const [key, socket] of sockets) {
        const same = keys.has(key);
        if (same && !force) continue;
        // Before the next one joins: where the kernel has dropped the group by itself, leaving it late would take the new one out.
        drop(key, socket);
        deps.onGone(socket.link.name, same);
        log.debug({ interface: socket.link.name, family: socket.link.family }, "multicast link closed");
      }
      for (const link of links) if (!sockets.has(link.key)) add(link);
    },
    ask: (packets) => {
      for (const socket of sockets.values()) for (const questions of packets) socket.ask(questions);
      return sockets.size;
    },
    close: async () => {
      closed = true;
      for (const [key, socket] of sockets) drop(key, socket);
      await Promise.all(closings);
    },
  };
}

/** A loopback address from another machine means that machine to itself, and would lead us to ourselves. */
function isNotOurs(record: HeardRecord): boolean {
  return (record.type !== "A" && record.type !== "AAAA") || !isLoopback(record.address);
}
