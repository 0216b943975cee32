// What NetworkManager is connected to, by the names that people know it by: the connection's, and the Wi-Fi's. It is asked
// again at every sign of a change, and until it has answered nothing is taken for known.

import type { Logger } from "pino";
import { messageOf } from "../../util/errors.js";
import type { BusObject } from "../bus/connection.js";
import type { Clock } from "../clock.js";

/** A connection that NetworkManager has brought up. */
export interface NamedConnection {
  /** As `nmcli connection` lists it. */
  readonly name: string;
  /** Of its Wi-Fi; null where it is none. */
  readonly ssid: string | null;
  /** The network interfaces that it is on; those below it where it is a VPN. */
  readonly interfaces: readonly string[];
}

/** Asks NetworkManager for a property. */
export type AskProperty = (of: BusObject, property: string) => Promise<unknown>;

/** Milliseconds until NetworkManager is asked again when it has not answered. */
const retryAfter = 5_000;

/** Its name on the bus. */
export const networkManager = "org.freedesktop.NetworkManager";
/** NM_ACTIVE_CONNECTION_STATE_ACTIVATED. */
const activated = 2;

/** Keeps what is known. */
export interface ConnectionNames {
  /** Null while NetworkManager is being asked; empty where it does not run or does not answer. */
  current(): readonly NamedConnection[] | null;
  /** Something may have changed. */
  ask(): void;
  /** NetworkManager does not run. */
  forget(): void;
  close(): void;
}

/** `onKnown` is called whenever `current` has become known. Nothing is known before the first call. */
export function createConnectionNames(deps: {
  readonly property: AskProperty;
  readonly onKnown: () => void;
  readonly clock: Clock;
  readonly log: Logger;
}): ConnectionNames {
  const { property, onKnown, clock, log } = deps;
  let known: readonly NamedConnection[] | null = null;
  /** What is asked for belongs to the newest sign of a change only. */
  let newest = 0;
  let cancelRetry: (() => void) | null = null;

  const settle = (mine: number, connections: readonly NamedConnection[]): void => {
    if (mine !== newest) return;
    known = connections;
    onKnown();
  };
  const ask = (): void => {
    const mine = (newest += 1);
    known = null;
    cancelRetry?.();
    cancelRetry = null;
    readConnections(property).then(
      (connections) => settle(mine, connections),
      (error: unknown) => {
        if (mine !== newest) return;
        log.debug({ reason: messageOf(error) }, "NetworkManager does not say what it is connected to");
        cancelRetry = clock.after(retryAfter, ask);
        settle(mine, []);
      },
    );
  };
  return {
    current: () => known,
    ask,
    forget: () => {
      cancelRetry?.();
      settle((newest += 1), []);
    },
    close: () => {
      cancelRetry?.();
      newest += 1;
    },
  };
}

/** Asks for the connections that are up. Rejects where NetworkManager does not answer. */
export async function readConnections(property: AskProperty): Promise<NamedConnection[]> {
  const manager = { path: "/org/freedesktop/NetworkManager", interface: networkManager };
  const paths = pathsIn(await property(manager, "ActiveConnections"));
  // One that goes away while it is asked is none; that it went is told as well.
  const found = await Promise.all(paths.map((path) => readConnection(property, path).catch(() => null)));
  return found.filter((connection) => connection !== null);
}

async function readConnection(property: AskProperty, path: string): Promise<NamedConnection | null> {
  const active = (name: string): Promise<unknown> =>
    property({ path, interface: `${networkManager}.Connection.Active` }, name);
  const [state, name, type, devices] = await Promise.all([
    active("State"),
    active("Id"),
    active("Type"),
    active("Devices"),
  ]);
  if (state !== activated || typeof name !== "string") return null;
  const names = await Promise.all(pathsIn(devices).map((device) => interfacesOf(property, device)));
  const ssid = type === "802-11-wireless" ? await ssidOf(property, await active("SpecificObject")) : null;
  return { name, ssid, interfaces: [...new Set(names.flat())] };
}

/** A modem has one interface to be spoken to and another for the network. */
async function interfacesOf(property: AskProperty, path: string): Promise<string[]> {
  const device = { path, interface: `${networkManager}.Device` };
  const names = await Promise.all(["IpInterface", "Interface"].map((name) => property(device, name)));
  return names.filter((name) => typeof name === "string" && name !== "") as string[];
}

async function ssidOf(property: AskProperty, accessPoint: unknown): Promise<string | null> {
  if (typeof accessPoint !== "string" || accessPoint === "/") return null;
  const ssid = await property({ path: accessPoint, interface: `${networkManager}.AccessPoint` }, "Ssid");
  return ssid instanceof Uint8Array ? Buffer.from(ssid).toString("utf8") : null;
}

function pathsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((path): path is string => typeof path === "string") : [];
}
