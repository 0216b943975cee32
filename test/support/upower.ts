// Stands in for UPower on a private bus, for a real one needs a battery: the properties that its documentation names, and
// PropertiesChanged when one of them changes.

import dbus from "dbus-next";
import { connectTo } from "./netmon-units.js";

const busName = "org.freedesktop.UPower";

/** What UPower says. */
export interface Power {
  readonly OnBattery?: boolean;
  readonly IsPresent?: boolean;
  readonly Percentage?: number;
}

export interface Upower {
  /** Says something else from now on. */
  set(power: Power): void;
  /** Whether the batteries are there to be asked, which they are not while it starts. */
  show(batteries: boolean): void;
  /** Leaves the bus. */
  stop(): void;
}

class Manager extends dbus.interface.Interface {
  OnBattery = false;
}
Manager.configureMembers({ properties: { OnBattery: { signature: "b", access: "read" } } });

class Device extends dbus.interface.Interface {
  IsPresent = false;
  Percentage = 0;
}
Device.configureMembers({
  properties: {
    IsPresent: { signature: "b", access: "read" },
    Percentage: { signature: "d", access: "read" },
  },
});

/** Takes UPower's name on the bus. */
export async function startUpower(address: string, power: Power): Promise<Upower> {
  const bus = await connectTo(address);
  const manager = new Manager(busName);
  const display = new Device(`${busName}.Device`);
  const take = ({ OnBattery, ...device }: Power): void => {
    if (OnBattery !== undefined) Object.assign(manager, { OnBattery });
    Object.assign(display, device);
  };
  take(power);
  bus.export("/org/freedesktop/UPower", manager);
  const displayPath = "/org/freedesktop/UPower/devices/DisplayDevice";
  bus.export(displayPath, display);
  await bus.requestName(busName, 0);
  return {
    set: (next) => {
      take(next);
      const { OnBattery, ...device } = next;
      if (OnBattery !== undefined) {
        dbus.interface.Interface.emitPropertiesChanged(manager, { OnBattery }, []);
      }
      if (Object.keys(device).length > 0) {
        dbus.interface.Interface.emitPropertiesChanged(display, device, []);
      }
    },
    show: (batteries) => {
      if (batteries) bus.export(displayPath, display);
      else bus.unexport(displayPath, display);
    },
    stop: () => bus.disconnect(),
  };
}
