// Where NetworkManager and UPower say what a connection costs and how the machine is fed. Names and values are those of the
// D-Bus interfaces of NetworkManager 1.42 and UPower 0.99.

import type { BusObject } from "../bus/connection.js";
import { type BusSignal, changedProperties, propertiesRule } from "../bus/signals.js";
import type { WatchedService } from "../bus/watch.js";

/** Short names, as shown to people. */
export type ConditionService = "NetworkManager" | "UPower";

/** A property of an object that a service has. */
interface BusProperty {
  readonly of: BusObject;
  readonly name: string;
}

export const networkManager = "org.freedesktop.NetworkManager";
const upower = "org.freedesktop.UPower";

/** NMMetered: 0 unknown, 1 yes, 2 no, 3 guess-yes, 4 guess-no. It is about the connection that has the default route. */
export const meteredProperty: BusProperty & { parse(value: unknown): boolean | null } = {
  of: { path: "/org/freedesktop/NetworkManager", interface: networkManager },
  name: "Metered",
  parse(value) {
    if (value === 1 || value === 3) return true;
    return value === 2 || value === 4 ? false : null;
  },
};

/** A boolean: no mains, and a battery that runs down. */
export const upowerOnBattery: BusProperty = {
  of: { path: "/org/freedesktop/UPower", interface: upower },
  name: "OnBattery",
};

/** All batteries and UPSs taken together, as a desktop shows them. */
const displayDevice: BusObject = {
  path: "/org/freedesktop/UPower/devices/DisplayDevice",
  interface: `${upower}.Device`,
};

export const upowerBattery = {
  /** A boolean: there is a battery at all. */
  present: { of: displayDevice, name: "IsPresent" },
  /** A number, 0 to 100. */
  percent: { of: displayDevice, name: "Percentage" },
} as const satisfies Record<string, BusProperty>;

const asked = [meteredProperty, upowerOnBattery, upowerBattery.present, upowerBattery.percent];

function watched(name: ConditionService, busName: string): WatchedService<ConditionService, "look"> {
  const properties = asked.filter(({ of }) => of.interface.startsWith(busName));
  const interfaces = [...new Set(properties.map(({ of }) => of.interface))];
  return {
    name,
    busName,
    rules: interfaces.map((one) => propertiesRule(busName, `arg0='${one}'`)),
    // NetworkManager and UPower change other properties all day, which must not wake us.
    meaning: (signal: BusSignal) => {
      const changed = changedProperties(signal);
      const wanted = properties.some(({ of, name: one }) => of.path === signal.path && changed.includes(one));
      return wanted ? "look" : null;
    },
  };
}

/** Every service that is watched. None is started by that. */
export const conditionServices = [watched("NetworkManager", networkManager), watched("UPower", upower)];
