// Whether uploads may run, given how the machine is connected and fed: pure.

import type { Conditions } from "../sources/conditions.js";

/** What the user allows. */
export interface UploadRules {
  /** Also on a connection that costs by volume. */
  readonly onMetered: boolean;
  /** On battery only while it holds at least this many percent; 0: always. */
  readonly batteryLevel: number;
}

/** Whether conditions can ever hold uploads back: otherwise nobody need find out about them. */
export function rulesMatter({ onMetered, batteryLevel }: UploadRules): boolean {
  return !onMetered || batteryLevel > 0;
}

/** Why uploads must wait: `text` is a sentence that ends with what would allow them. */
export interface UploadHold {
  readonly code: "unknown" | "metered" | "battery";
  readonly text: string;
}

/**
 * Null when uploads may run. `conditions` is null as long as nothing is known: whether it costs may not be found out by
 * sending. What is unknown otherwise holds nothing back.
 */
export function uploadHold(conditions: Conditions | null, rules: UploadRules): UploadHold | null {
  if (!rulesMatter(rules)) return null;
  if (conditions === null) {
    return { code: "unknown", text: "it is being found out how this machine is connected and fed" };
  }
  const { metered, onBattery } = conditions;
  if (metered === true && !rules.onMetered) {
    return { code: "metered", text: "on a metered connection; `uploads.on-metered = true` allows it" };
  }
  if (onBattery !== null && onBattery < rules.batteryLevel) {
    const text = `on battery with ${onBattery} % left; \`uploads.battery-level\` asks for ${rules.batteryLevel} %`;
    return { code: "battery", text };
  }
  return null;
}
