// The machine's batteries as the kernel shows them, for machines without UPower. The files are those of
// Documentation/ABI/testing/sysfs-class-power in Linux.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where the kernel shows what feeds the machine, one folder each. */
const defaultFolder = "/sys/class/power_supply";

/** One battery of the machine's own. */
interface Battery {
  readonly discharging: boolean;
  /** In percent. */
  readonly charge: number | null;
  /** What it holds when full, in units of its own; null where it does not say. */
  readonly full: number | null;
}

/**
 * The charge that is left, in percent, while the machine runs on its batteries; null on mains, without a battery, or where
 * nothing can be read. Never throws.
 */
export function readPowerSupply(folder: string = defaultFolder): number | null {
  const batteries: Battery[] = [];
  for (const name of namesIn(folder)) {
    const read = (file: string): string | null => readWord(join(folder, name, file));
    const type = read("type");
    if (type === null || read("scope") === "Device") continue; // of a mouse, a headset
    if (type === "Battery") batteries.push(...batteryOf(read));
    else if (type !== "UPS" && read("online") === "1") return null;
  }
  return batteries.some(({ discharging }) => discharging) ? chargeOf(batteries) : null;
}

function batteryOf(read: (file: string) => string | null): Battery[] {
  if (read("present") === "0") return [];
  const full = numberIn(read("energy_full")) ?? numberIn(read("charge_full"));
  return [{ discharging: read("status") === "Discharging", charge: numberIn(read("capacity")), full }];
}

/** Of several batteries the mean, the larger counting for more where all say how large they are. */
function chargeOf(batteries: readonly Battery[]): number | null {
  const weighed = batteries.every(({ full }) => full !== null && full > 0);
  let held = 0;
  let most = 0;
  for (const { charge, full } of batteries) {
    if (charge === null) continue;
    const weight = weighed && full !== null ? full : 1;
    held += charge * weight;
    most += weight;
  }
  return most === 0 ? null : Math.floor(held / most);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function numberIn(word: string | null): number | null {
  const number = word === null || word === "" ? NaN : Number(word);
  return Number.isFinite(number) ? number : null;
}

function readWord(file: string): string | null {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return null;
  }
}
