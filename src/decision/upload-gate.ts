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

/**
 * Why uploads must wait, as a sentence with what would allow them; null when they may run. `conditions` is null as long as
 * nothing is known: what they cost may not be found out by sending. What is unknown otherwise holds nothing back.
 */
export function uploadHold(conditions: Conditions | null, rules: UploadRules): string | null {
  if (!rulesMatter(rules)) return null;
  if (conditions === null) return "it is being found out whether the connection is metered";
  const { metered, onBattery } = conditions;
  if (metered === true && !rules.onMetered) {
    return "on a metered connection; `uploads.on-metered = true` would allow it";
  }
  if (onBattery !== null && onBattery < rules.batteryLevel) {
    return `on battery with ${onBattery} % left; \`uploads.battery-level = ${rules.batteryLevel}\` asks for more`;
  }
  return null;
}
