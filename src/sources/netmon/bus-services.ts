// Which services on the system bus know of the network and of sleep, and what their signals mean to us.
// Names are those of the NetworkManager 1.42, systemd-networkd 252 and systemd-logind 252 D-Bus interfaces.

import { changedProperties, propertiesInterface, propertiesRule, signalRule } from "../bus/signals.js";
import type { WatchedService } from "../bus/watch.js";

/** What a signal means. `what` is for the log. */
export type Meaning =
  { readonly type: "look"; readonly what: string } | { readonly type: "sleep" } | { readonly type: "wake" };

/** Short names, as shown to people. */
export type ServiceName = "NetworkManager" | "networkd" | "logind";

/** A service that knows of the network or of sleep. */
export interface NetworkService extends WatchedService<ServiceName, Meaning> {
  /** Whether it reports every change of the network, so that comparing by timer is not needed. */
  readonly tellsNetwork: boolean;
}

const networkManager = "org.freedesktop.NetworkManager";
const networkd = "org.freedesktop.network1";
const logind = "org.freedesktop.login1";

/**
 * Properties of NetworkManager, its connections, its devices and their configurations that tell of reachability. Others change
 * all day (an access point's strength, a bit rate, a scan) and must not wake us. `Carrier` is the one that
 * comes within milliseconds of a pulled cable; the device's state follows six seconds later.
 */
const tellingProperties: ReadonlySet<string> = new Set([
  "ActiveConnections",
  "Carrier",
  "State",
  "InterfaceFlags",
  "Ip4Config",
  "Ip6Config",
  "ActiveAccessPoint",
  "Addresses",
  "AddressData",
  "Gateway",
  "RouteData",
]);

/** Every service that is watched. */
export const busServices: readonly NetworkService[] = [
  {
    name: "NetworkManager",
    busName: networkManager,
    tellsNetwork: true,
    rules: [
      signalRule(networkManager, `interface='${networkManager}'`),
      signalRule(networkManager, `interface='${networkManager}.Device',member='StateChanged'`),
      propertiesRule(networkManager, `arg0='${networkManager}'`),
      propertiesRule(networkManager, `arg0='${networkManager}.Connection.Active'`),
      ...["Device", "IP4Config", "IP6Config"].map((part) =>
        propertiesRule(networkManager, `arg0namespace='${networkManager}.${part}'`),
      ),
    ],
    meaning(signal) {
      if (signal.interface === propertiesInterface) {
        const changed = changedProperties(signal).filter((property) => tellingProperties.has(property));
        return changed.length > 0 ? { type: "look", what: changed.join(" ") } : null;
      }
      const { member } = signal;
      if (member === "StateChanged" || member === "DeviceAdded" || member === "DeviceRemoved") {
        return { type: "look", what: member };
      }
      return null;
    },
  },
  {
    name: "networkd",
    busName: networkd,
    tellsNetwork: true,
    rules: [
      propertiesRule(networkd, `arg0='${networkd}.Manager'`),
      propertiesRule(networkd, `arg0='${networkd}.Link'`),
    ],
    meaning(signal) {
      const changed = changedProperties(signal).filter((property) => property.endsWith("State"));
      return changed.length > 0 ? { type: "look", what: changed.join(" ") } : null;
    },
  },
  {
    name: "logind",
    busName: logind,
    tellsNetwork: false,
    rules: [signalRule(logind, `interface='${logind}.Manager',member='PrepareForSleep'`)],
    meaning(signal) {
      if (signal.interface !== `${logind}.Manager` || signal.member !== "PrepareForSleep") return null;
      if (signal.body[0] === true) return { type: "sleep" };
      return signal.body[0] === false ? { type: "wake" } : null;
    },
  },
];
