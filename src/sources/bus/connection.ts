// The one place that touches dbus-next: a connection to a message bus that says when it dies, whose calls end
// in bounded time, and that cannot bring the process down.

import type { Duplex } from "node:stream";
import dbus, { type Message, type MessageBus } from "dbus-next";
import { withDeadline } from "../../util/abort.js";
import { TetherError, messageOf } from "../../util/errors.js";
import { type BusSignal, propertiesInterface } from "./signals.js";

/** Milliseconds for connecting, authenticating and `Hello`. */
const openTimeout = 5_000;
/** Milliseconds for an answer: of the bus itself, or of a service that only says what it knows. */
const callTimeout = 2_000;

const busName = "org.freedesktop.DBus";
const noOwner = `${busName}.Error.NameHasNoOwner`;

/** A live connection. Calls reject when it is lost or the answer takes too long. */
export interface BusConnection {
  /** Asks the bus for the signals that a match rule describes. */
  addMatch(rule: string): Promise<void>;
  /** The unique name of the connection that owns a well-known name, or null. Starts no service. */
  ownerOf(name: string): Promise<string | null>;
  /** A property of an object of the connection that has this unique name. */
  property(owner: string, of: BusObject, name: string): Promise<unknown>;
  /** Settles once, with the reason, when the connection has ended for whatever cause. Never rejects. */
  readonly closed: Promise<Error>;
  /** Ends the connection at once; `closed` follows. Idempotent. */
  close(): void;
}

/** An object on the bus, by its path, and the one of its interfaces that is meant. */
export interface BusObject {
  readonly path: string;
  readonly interface: string;
}

/** What dbus-next 0.10 keeps to itself, and without which a dead bus goes unnoticed. */
interface Internals {
  readonly _connection: { readonly stream: Duplex };
  readonly _methodReturnHandlers: Record<string, unknown>;
}

/** The D-Bus specification's default for the system bus. */
export function systemBusAddress(): string {
  return process.env["DBUS_SYSTEM_BUS_ADDRESS"] ?? "unix:path=/var/run/dbus/system_bus_socket";
}

/**
 * Connects to the bus at `address` (D-Bus syntax, `unix:path=…`). Rejects with code `bus-unreachable`.
 * `onSignal` must not throw.
 */
export async function openBus(
  address: string,
  onSignal: (signal: BusSignal) => void,
  signal: AbortSignal,
): Promise<BusConnection> {
  signal.throwIfAborted();
  const bus = connect(address);
  const { _connection: connection, _methodReturnHandlers: waiting } = bus as unknown as Internals;

  let settle: (reason: Error) => void = () => undefined;
  const closed = new Promise<Error>((resolve) => {
    settle = resolve;
  });
  const end = (reason: Error): void => {
    settle(reason);
    connection.stream.destroy();
  };
  const onAbort = (): void => end(new TetherError("aborted", "the bus is not needed any more"));
  signal.addEventListener("abort", onAbort, { once: true });
  void closed.then(() => signal.removeEventListener("abort", onAbort));
  bus.on("error", (error: unknown) => end(error instanceof Error ? error : new Error(messageOf(error))));
  connection.stream.once("close", () => end(new Error("the bus closed the connection")));

  const lost = closed.then((reason): never => {
    throw reason;
  });
  lost.catch(() => undefined);
  const connected = new Promise<void>((resolve) => bus.on("connect", resolve));

  bus.on("message", (message) => {
    if (message.type === dbus.MessageType.SIGNAL) return onSignal(toSignal(message));
    if (message.type !== dbus.MessageType.ERROR || bus.name !== null) return;
    // A bus that is full refuses `Hello`; dbus-next would answer that with an unhandled rejection.
    delete waiting[message.replySerial];
    end(new Error(`the bus refused us: ${message.errorName}`));
  });

  const call = (
    destination: string,
    of: BusObject,
    member: string,
    body: string[],
  ): Promise<Message | null> => {
    const signature = "s".repeat(body.length);
    const message = new dbus.Message({ destination, ...of, member, signature, body });
    return withDeadline(Promise.race([bus.call(message), lost]), callTimeout, `system bus, ${member}`);
  };
  const busObject: BusObject = { path: "/org/freedesktop/DBus", interface: busName };

  try {
    await withDeadline(Promise.race([connected, lost]), openTimeout, "connecting to the system bus");
  } catch (error) {
    end(error as Error);
    throw unreachable(address, error);
  }
  return {
    async addMatch(rule) {
      await call(busName, busObject, "AddMatch", [rule]);
    },
    async ownerOf(name) {
      try {
        const reply = await call(busName, busObject, "GetNameOwner", [name]);
        return typeof reply?.body[0] === "string" ? reply.body[0] : null;
      } catch (error) {
        if (error instanceof dbus.DBusError && error.type === noOwner) return null;
        throw error;
      }
    },
    async property(owner, of, name) {
      const properties = { path: of.path, interface: propertiesInterface };
      const reply = await call(owner, properties, "Get", [of.interface, name]);
      const value: unknown = reply?.body[0];
      return value instanceof dbus.Variant ? value.value : value;
    },
    closed,
    close: () => end(new Error("closed")),
  };
}

function connect(address: string): MessageBus & { readonly name: string | null } {
  try {
    // `sessionBus` only means "the bus at this address". EXTERNAL is the peer's uid, all that a local bus needs.
    const bus = dbus.sessionBus({ busAddress: address, authMethods: ["EXTERNAL"] });
    return bus as MessageBus & { readonly name: string | null };
  } catch (error) {
    throw unreachable(address, error);
  }
}

function unreachable(address: string, cause: unknown): TetherError {
  return new TetherError("bus-unreachable", `no bus at ${address}: ${messageOf(cause)}`, { cause });
}

function toSignal(message: Message): BusSignal {
  const { sender, path, member, body } = message;
  return { sender, path, interface: message.interface, member, body: Array.isArray(body) ? body : [] };
}
