import { expect, test } from "vitest";
import { conditionServices, meteredProperty } from "../../../src/sources/conditions/bus-services.js";

const changed = (path: string, of: string, names: string[], invalidated: string[] = []) => ({
  sender: ":1.7",
  path,
  interface: "org.freedesktop.DBus.Properties",
  member: "PropertiesChanged",
  body: [of, Object.fromEntries(names.map((name) => [name, {}])), invalidated],
});

const upower = "/org/freedesktop/UPower";
const display = `${upower}/devices/DisplayDevice`;
const nm = "/org/freedesktop/NetworkManager";

test.each([
  [nm, ["Metered"], "look"],
  [nm, ["State", "Metered"], "look"],
  [nm, ["ActiveConnections", "Connectivity"], null],
  [upower, ["OnBattery"], "look"],
  [upower, ["LidIsClosed"], null],
  [display, ["UpdateTime", "Percentage"], "look"],
  [display, ["IsPresent"], "look"],
  [display, ["UpdateTime", "TimeToEmpty"], null],
  [`${upower}/devices/mouse_0`, ["Percentage"], null],
])("%s %j", (path, names, meaning) => {
  const told = conditionServices.map((service) => service.meaning(changed(path, "x", names)));
  expect(told.find((one) => one !== null) ?? null).toBe(meaning);
  const invalidated = conditionServices.map((service) => service.meaning(changed(path, "x", [], names)));
  expect(invalidated.find((one) => one !== null) ?? null).toBe(meaning);
});

test("a guess of NetworkManager's counts as knowledge", () => {
  expect([0, 1, 2, 3, 4, 5, "1", null].map((value) => meteredProperty.parse(value))).toEqual([
    null,
    true,
    false,
    true,
    false,
    null,
    null,
    null,
  ]);
});

test("every rule asks for one service's signals only", () => {
  for (const { busName, rules } of conditionServices) {
    expect(rules.length).toBeGreaterThan(0);
    for (const rule of rules) expect(rule).toContain(`sender='${busName}'`);
  }
});
