// Stands in for a NetworkManager with Wi-Fi on a private bus, for a real one needs a radio: the properties that its
// documentation names, and PropertiesChanged when it joins another network.

import dbus, { type Message } from "dbus-next";
import { connectTo } from "./netmon-units.js";

const nm = "org.freedesktop.NetworkManager";
const root = "/org/freedesktop/NetworkManager";
const active = `${root}/ActiveConnection/1`;
const device = `${root}/Devices/3`;
const accessPoint = `${root}/AccessPoint/7`;

/** A NetworkManager that has joined a Wi-Fi. */
export interface Wifi {
  /** Joins another Wi-Fi. */
  join(name: string, ssid: string): void;
  stop(): void;
}

/** Takes NetworkManager's name on the bus, with a connection on this interface. */
export async function startWifi(
  address: string,
  { name, ssid, on }: { readonly name: string; readonly ssid: string; readonly on: string },
): Promise<Wifi> {
  const bus = await connectTo(address);
  let joined = { name, ssid };
  const properties = (): Record<string, [signature: string, value: unknown]> => ({
    [`${root} ${nm} ActiveConnections`]: ["ao", [active]],
    [`${active} ${nm}.Connection.Active State`]: ["u", 2],
    [`${active} ${nm}.Connection.Active Id`]: ["s", joined.name],
    [`${active} ${nm}.Connection.Active Type`]: ["s", "802-11-wireless"],
    [`${active} ${nm}.Connection.Active Devices`]: ["ao", [device]],
    [`${active} ${nm}.Connection.Active SpecificObject`]: ["o", accessPoint],
    [`${device} ${nm}.Device IpInterface`]: ["s", on],
    [`${device} ${nm}.Device Interface`]: ["s", on],
    [`${accessPoint} ${nm}.AccessPoint Ssid`]: ["ay", Buffer.from(joined.ssid)],
  });
  bus.addMethodHandler((message: Message) => {
    if (message.member !== "Get") return false;
    const found = properties()[[message.path, ...(message.body as string[])].join(" ")];
    if (found === undefined) return false;
    bus.send(dbus.Message.newMethodReturn(message, "v", [new dbus.Variant(...found)]));
    return true;
  });
  await bus.requestName(nm, 0);
  return {
    join: (nextName, nextSsid) => {
      joined = { name: nextName, ssid: nextSsid };
      const changed = { ActiveAccessPoint: new dbus.Variant("o", accessPoint) };
      const body = [`${nm}.Device.Wireless`, changed, []];
      const of = "org.freedesktop.DBus.Properties";
      bus.send(dbus.Message.newSignal(device, of, "PropertiesChanged", "sa{sv}as", body));
    },
    stop: () => bus.disconnect(),
  };
}
