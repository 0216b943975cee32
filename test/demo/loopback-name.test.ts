// The demo's name as the daemon's own discovery hears it, on real sockets of the loopback interface.

import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isFound, type LoopbackName, openLoopbackName } from "../../src/demo/loopback-name.js";
import { createDiscovery, type Discovery, type News } from "../../src/sources/discovery.js";
import { eventually } from "../support/eventually.js";
import { silentLog } from "../support/silent-log.js";

const endpoints = [{ address: "127.0.0.1", family: 4 }];
const calm = new AbortController().signal;

let name: LoopbackName;
let discovery: Discovery;

beforeEach(() => {
  name = openLoopbackName("127.0.0.1");
  const interfaces = (): ReturnType<typeof networkInterfaces> => ({ lo: networkInterfaces()["lo"] ?? [] });
  discovery = createDiscovery({ log: silentLog, includeLoopback: true, interfaces });
});
afterEach(async () => {
  await name.close();
  await discovery.close();
});

test("is found while it is here, and only then", async () => {
  expect(await isFound(name.name, calm)).toBe(false);
  await name.announce();
  expect(await isFound(name.name, calm)).toBe(true);
  expect(await discovery.lookup({ host: name.name }, calm)).toEqual({ endpoints, how: "mdns" });
  await name.goodbye();
  expect(await isFound(name.name, calm)).toBe(false);
  expect(name.trouble()).toBeNull();
});

test("says unasked that it comes and goes, and goes when closed", async () => {
  const news: News[] = [];
  discovery.watch({ host: name.name }, (item) => news.push(item));
  await name.announce();
  await eventually("the announcement", () => news.length === 1);
  await name.goodbye();
  await eventually("the goodbye", () => news.length === 2);
  await name.announce();
  await eventually("the second announcement", () => news.length === 3);
  await name.close();
  await eventually("the last goodbye", () => news.length === 4);
  expect(news.map(({ kind }) => kind)).toEqual(["announced", "goodbye", "announced", "goodbye"]);
  expect(news[0]).toEqual({ kind: "announced", endpoints });
});

test("no two have the same name, and neither answers for the other", async () => {
  const other = openLoopbackName("127.0.0.1");
  await name.announce();
  expect(other.name).not.toBe(name.name);
  expect(await isFound(other.name, calm)).toBe(false);
  await other.close();
});

test("a self-check that is called off ends at once", async () => {
  await expect(isFound(name.name, AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
});
