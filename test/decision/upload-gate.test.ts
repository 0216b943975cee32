import { expect, test } from "vitest";
import { rulesMatter, uploadHold } from "../../src/decision/upload-gate.js";

const rules = { onMetered: false, batteryLevel: 30 };
const free = { metered: false, onBattery: null };

test.each([
  ["on mains, on a free connection", free, null],
  ["where nobody knows anything", { metered: null, onBattery: null }, null],
  ["before anybody had the time to say", null, "unknown"],
  ["on a metered connection", { ...free, metered: true }, "metered"],
  ["on battery below the level", { ...free, onBattery: 29 }, "battery"],
  ["on battery at the level", { ...free, onBattery: 30 }, null],
  ["for both reasons, the first of them is told", { metered: true, onBattery: 5 }, "metered"],
])("%s", (_, conditions, code) => {
  expect(uploadHold(conditions, rules)?.code ?? null).toBe(code);
});

test("the reason says what would allow it", () => {
  expect(uploadHold({ ...free, metered: true }, rules)?.text).toBe(
    "on a metered connection; `uploads.on-metered = true` allows it",
  );
  expect(uploadHold({ ...free, onBattery: 12 }, rules)?.text).toBe(
    "on battery with 12 % left; `uploads.battery-level` asks for 30 %",
  );
});

test("whoever allows everything is held back by nothing, and needs to know nothing", () => {
  const bold = { onMetered: true, batteryLevel: 0 };
  expect(uploadHold(null, bold)).toBeNull();
  expect(uploadHold({ metered: true, onBattery: 0 }, bold)).toBeNull();
  expect(rulesMatter(bold)).toBe(false);
  expect(rulesMatter({ ...bold, batteryLevel: 1 })).toBe(true);
  expect(rulesMatter({ ...bold, onMetered: false })).toBe(true);
  expect(uploadHold({ metered: true, onBattery: 5 }, { onMetered: true, batteryLevel: 30 })?.code).toBe(
    "battery",
  );
});
