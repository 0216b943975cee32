// Whether the connection costs by volume, asked once: for who sends so seldom that watching would cost more.

import { openBus, systemBusAddress } from "../bus/connection.js";
import { meteredProperty, networkManager } from "./bus-services.js";

/** In milliseconds. */
const limitMs = 2_000;

/** As NetworkManager says; null where nobody does. Never rejects. */
export async function askMetered(busAddress = systemBusAddress()): Promise<boolean | null> {
  const signal = AbortSignal.timeout(limitMs);
  try {
    const bus = await openBus(busAddress, () => undefined, signal);
    try {
      const owner = await bus.ownerOf(networkManager);
      const { of, name, parse } = meteredProperty;
      return owner === null ? null : parse(await bus.property(owner, of, name));
    } finally {
      bus.close();
    }
  } catch {
    return null;
  }
}
