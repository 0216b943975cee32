import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { readPowerSupply } from "../../../src/sources/conditions/power-supply.js";
import { temporaryFolder } from "../../support/temp-folder.js";

/** A folder as the kernel makes it: one below it for each supply, and a file for each attribute. */
function supplies(all: Record<string, Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, files] of Object.entries(all)) {
    mkdirSync(path.join(folder, name));
    for (const [file, word] of Object.entries(files))
      writeFileSync(path.join(folder, name, file), `${word}\n`);
  }
  return folder;
}

const battery = { type: "Battery", present: "1", status: "Discharging", capacity: "41", scope: "System" };
const mains = { type: "Mains", online: "0" };

test.each<[string, Record<string, Record<string, string>>, number | null]>([
  ["a battery that runs down", { BAT0: battery, AC: mains }, 41],
  ["the charger is plugged in", { BAT0: battery, AC: { ...mains, online: "1" } }, null],
  ["a charger on USB", { BAT0: battery, "ucsi-source-psy-1": { type: "USB", online: "1" } }, null],
  ["a battery that is charged", { BAT0: { ...battery, status: "Charging" } }, null],
  ["a full one", { BAT0: { ...battery, status: "Full", capacity: "100" } }, null],
  ["a slot without its battery", { BAT0: { ...battery, present: "0" } }, null],
  ["a mouse", { "hid-1": { ...battery, scope: "Device" } }, null],
  ["a battery that does not say how full it is", { BAT0: { type: "Battery", status: "Discharging" } }, null],
  ["a garbled number", { BAT0: { ...battery, capacity: "many" } }, null],
  [
    "two batteries, of which the larger counts for more",
    {
      BAT0: { ...battery, capacity: "100", energy_full: "10000000", status: "Not charging" },
      BAT1: { ...battery, capacity: "20", energy_full: "30000000" },
    },
    40,
  ],
  [
    "two that say how large they are in different units",
    { BAT0: { ...battery, charge_full: "4000000" }, BAT1: { ...battery, capacity: "61" } },
    51,
  ],
  ["no battery", { AC: { ...mains, online: "1" } }, null],
  ["nothing", {}, null],
])("%s", (_, all, charge) => {
  expect(readPowerSupply(supplies(all))).toBe(charge);
});

test("no such folder", () => {
  expect(readPowerSupply("/nonexistent")).toBeNull();
});
