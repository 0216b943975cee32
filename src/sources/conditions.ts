// Watches what speaks against sending much: a connection that costs by volume, as NetworkManager reports it, and a battery
// that runs down, as UPower or else the kernel reports it. A signal only means "look again".

import type { Logger } from "pino";
import { messageOf } from "../util/errors.js";
import { systemBusAddress } from "./bus/connection.js";
import { watchBus } from "./bus/watch.js";
import { type Clock, systemClock } from "./clock.js";
import {
  conditionServices,
  meteredProperty,
  upowerBattery,
  upowerOnBattery,
  type ConditionService,
} from "./conditions/bus-services.js";
import { readPowerSupply } from "./conditions/power-supply.js";

/** Milliseconds between looks at the kernel's batteries where UPower does not tell of them. */
const compareEvery = 30_000;
/** Milliseconds until a service that did not answer is asked again. */
const retryAfter = 5_000;

/** How the machine is connected and fed. */
export interface Conditions {
  /** Whether the connection costs by volume, or probably does; null where nobody knows. */
  readonly metered: boolean | null;
  /** While the machine runs on its battery: the charge that is left, in percent. Null on mains, or where nobody knows. */
  readonly onBattery: number | null;
}

/** A running watch. */
export interface ConditionsWatch {
  /** Ends it. Nothing is told after the call. */
  close(): void;
}

/** What the watch needs. */
export interface ConditionsDeps {
  readonly log: Logger;
  /** Told what is found first, at the latest some seconds after the start, and then every change. */
  readonly onConditions: (conditions: Conditions) => void;
  /** D-Bus address; by default the system bus. */
  readonly busAddress?: string;
  /** By default `/sys/class/power_supply`. */
  readonly sysPowerSupply?: string;
  readonly clock?: Clock;
}

/** Begins to watch. Never throws: what nobody tells is unknown. */
export function watchConditions(deps: ConditionsDeps): ConditionsWatch {
  const { log, onConditions, busAddress = systemBusAddress(), sysPowerSupply, clock = systemClock } = deps;
  let running: ReadonlySet<ConditionService> = new Set();
  let told: Conditions | null = null;
  let looking = false;
  let lookAgain = false;
  let closed = false;
  let retry: (() => void) | null = null;

  const metered = async (): Promise<boolean | null> => {
    if (!running.has("NetworkManager")) return null;
    const { of, name, parse } = meteredProperty;
    return parse(await bus.property("NetworkManager", of, name));
  };
  const battery = async (): Promise<number | null> => {
    if (!running.has("UPower")) return readPowerSupply(sysPowerSupply);
    const ask = ({ of, name }: typeof upowerOnBattery): Promise<unknown> => bus.property("UPower", of, name);
    if ((await ask(upowerOnBattery)) !== true) return null;
    const [present, percent] = await Promise.all([ask(upowerBattery.present), ask(upowerBattery.percent)]);
    return present === true && typeof percent === "number" ? Math.floor(percent) : null;
  };
  const orUnknown = async <T>(what: string, asking: Promise<T>): Promise<T | null> => {
    try {
      return await asking;
    } catch (error) {
      log.debug({ reason: messageOf(error) }, `can not find out ${what}`);
      retry ??= clock.after(retryAfter, () => {
        retry = null;
        void look();
      });
      return null;
    }
  };

  /** One look at a time; what happens during one is looked at after it. */
  const look = async (): Promise<void> => {
    lookAgain = true;
    if (looking) return;
    looking = true;
    while (lookAgain && !closed) {
      lookAgain = false;
      const [isMetered, onBattery] = await Promise.all([
        orUnknown("whether the connection is metered", metered()),
        orUnknown("the battery's charge", battery()),
      ]);
      tell({ metered: isMetered, onBattery });
    }
    looking = false;
  };
  const tell = (now: Conditions): void => {
    if (closed || lookAgain) return;
    if (told !== null && told.metered === now.metered && told.onBattery === now.onBattery) return;
    told = now;
    onConditions(now);
  };

  const bus = watchBus({
    address: busAddress,
    services: conditionServices,
    clock,
    log,
    handlers: {
      onServices: (now) => {
        running = now;
        void look();
      },
      onMeaning: () => void look(),
    },
  });
  const stopComparing = clock.every(compareEvery, () => {
    if (told === null || running.has("UPower")) return;
    if (readPowerSupply(sysPowerSupply) !== told.onBattery) void look();
  });

  return {
    close: () => {
      closed = true;
      stopComparing();
      retry?.();
      bus.close();
    },
  };
}
