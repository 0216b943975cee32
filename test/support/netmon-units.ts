// Stands in for PID 1 on a private bus: the little that logind asks of systemd to suspend the machine.

import { once } from "node:events";
import dbus, { type Message, type MessageBus } from "dbus-next";

const systemd = "org.freedesktop.systemd1";
const root = "/org/freedesktop/systemd1";
const job = `${root}/job/1`;

/** What a test sees and decides of the suspend. */
export interface UnitManager {
  /** Resolves when logind has had the machine suspended. */
  readonly suspended: Promise<void>;
  /** The machine wakes: the suspend job is over. */
  wake(): void;
  close(): void;
}

/** Takes systemd's name on the bus. */
export async function startUnitManager(address: string): Promise<UnitManager> {
  const bus = await connectTo(address);
  let onSuspend = (): void => undefined;
  const suspended = new Promise<void>((resolve) => {
    onSuspend = resolve;
  });
  const reply = (message: Message, signature = "", body: unknown[] = []): true => {
    bus.send(dbus.Message.newMethodReturn(message, signature, body));
    return true;
  };
  bus.addMethodHandler((message: Message) => {
    if (message.member === "Get" && message.body[1] === "LoadState") {
      return reply(message, "v", [new dbus.Variant("s", "loaded")]);
    }
    if (message.member === "StartUnit") {
      onSuspend();
      return reply(message, "o", [job]);
    }
    return message.member === "Subscribe" && reply(message);
  });
  await bus.requestName(systemd, 0);
  return {
    suspended,
    wake() {
      const body = [1, job, "suspend.target", "done"];
      bus.send(dbus.Message.newSignal(root, `${systemd}.Manager`, "JobRemoved", "uoss", body));
    },
    close: () => bus.disconnect(),
  };
}

/** A plain connection to the bus. */
export async function connectTo(address: string): Promise<MessageBus> {
  const bus = dbus.sessionBus({ busAddress: address });
  bus.on("error", () => undefined);
  await once(bus, "connect");
  return bus;
}

/** Sends everybody on the bus, by unique name, a forged `PrepareForSleep(true)`. */
export async function forgeSleep(bus: MessageBus): Promise<void> {
  const names = await bus.call(
    new dbus.Message({
      destination: "org.freedesktop.DBus",
      path: "/org/freedesktop/DBus",
      interface: "org.freedesktop.DBus",
      member: "ListNames",
    }),
  );
  for (const name of (names?.body[0] ?? []) as string[]) {
    if (!name.startsWith(":")) continue;
    const manager = "org.freedesktop.login1.Manager";
    const signal = dbus.Message.newSignal("/org/freedesktop/login1", manager, "PrepareForSleep", "b", [true]);
    signal.destination = name;
    bus.send(signal);
  }
}
