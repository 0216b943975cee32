// Signals of the system bus: the rules that ask for them, and what a change of properties says.

/** A signal as it came over the bus. `sender` is the unique name (`:1.5`) of the connection that sent it. */
export interface BusSignal {
  readonly sender: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly body: readonly unknown[];
}

export const propertiesInterface = "org.freedesktop.DBus.Properties";

/** A match rule for signals of one service. */
export function signalRule(sender: string, rest: string): string {
  return `type='signal',sender='${sender}',${rest}`;
}

/** A match rule for changes of one service's properties. */
export function propertiesRule(sender: string, rest: string): string {
  return signalRule(sender, `interface='${propertiesInterface}',member='PropertiesChanged',${rest}`);
}

/** The names in a PropertiesChanged signal (`sa{sv}as`), those only invalidated included; none in another signal. */
export function changedProperties(signal: BusSignal): string[] {
  if (signal.interface !== propertiesInterface) return [];
  const [, changed, invalidated] = signal.body;
  const names = typeof changed === "object" && changed !== null ? Object.keys(changed) : [];
  const without = Array.isArray(invalidated) ? invalidated.filter((name) => typeof name === "string") : [];
  return [...names, ...without];
}
