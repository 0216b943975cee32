// Asks NetworkManager once what it is connected to, for a command that does not stay to watch.

import { openBus, systemBusAddress } from "../bus/connection.js";
import { networkManager, readConnections, type NamedConnection } from "./connections.js";

/** Resolves within seconds; to nothing where NetworkManager does not run or does not answer, as for the daemon. */
export async function askConnections(
  signal: AbortSignal,
  busAddress = systemBusAddress(),
): Promise<readonly NamedConnection[]> {
  try {
    const bus = await openBus(busAddress, () => undefined, signal);
    try {
      const owner = await bus.ownerOf(networkManager);
      if (owner === null) return [];
      return await readConnections((of, property) => bus.property(owner, of, property));
    } finally {
      bus.close();
    }
  } catch {
    return [];
  }
}
