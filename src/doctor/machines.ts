// The machines of the caches by each of their ways.

import { createMachine, type Machine, type MachineDeps } from "./machine.js";
import type { PlannedCache } from "./plan.js";
import type { WayPlan } from "./ways.js";

/** Nothing is asked of them yet. */
export function createMachines(
  caches: readonly PlannedCache[],
  deps: Omit<MachineDeps, "first">,
): Map<WayPlan, Machine> {
  const machines = new Map<WayPlan, Machine>();
  for (const { name, ways } of caches) {
    let first: Machine | undefined;
    for (const way of ways) {
      const { config } = way;
      if (config.type !== "ssh") continue;
      const machine = createMachine(name, config, { ...deps, first });
      first ??= machine;
      machines.set(way, machine);
    }
  }
  return machines;
}
