import { expect, test } from "vitest";

import { createRecent, RECENT_MS } from "../../../src/sources/discovery/recent.js";
import { addressRecord } from "../../support/mdns-records.js";

const packet = (address: string, wallAt: number, link = "eth0") => ({
  link,
  at: 0,
  wallAt,
  records: [addressRecord("pi.local", address)],
});

test("what was said lasts a second, and no longer than its interface", () => {
  const recent = createRecent();
  recent.hear(packet("10.0.0.1", 0));
  recent.hear(packet("10.1.0.1", 500, "wlan0"));
  recent.hear(packet("10.0.0.2", 600));
  const addresses = (now: number): string[] =>
    recent.packets(now).flatMap(({ records }) => records.map((one) => ("address" in one ? one.address : "")));
  expect(addresses(RECENT_MS)).toEqual(["10.0.0.1", "10.1.0.1", "10.0.0.2"]);
  expect(addresses(RECENT_MS + 1)).toEqual(["10.1.0.1", "10.0.0.2"]);
  recent.forget("eth0");
  expect(addresses(RECENT_MS + 1)).toEqual(["10.1.0.1"]);
});

test("a flood does not fill the memory", () => {
  const recent = createRecent();
  for (let index = 0; index < 1000; index += 1) recent.hear(packet(`10.0.0.${index % 250}`, 0));
  expect(recent.packets(0)).toHaveLength(64);
});
