import { networkInterfaces } from "node:os";

import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";

import { createDiscovery, type Discovery } from "../../src/sources/discovery.js";

const log = pino({ level: "silent" });
const loopback = (): ReturnType<typeof networkInterfaces> => ({ lo: networkInterfaces()["lo"] ?? [] });
const calm = (): AbortSignal => new AbortController().signal;
let discovery: Discovery | undefined;

afterEach(() => discovery?.close());

function offline(): Discovery {
  discovery = createDiscovery({ log, interfaces: () => ({}) });
  return discovery;
}

describe("createDiscovery", () => {
  it("takes addresses as they are", async () => {
    expect(await offline().lookup({ host: "fe80::1%eth0" }, calm())).toEqual({
      endpoints: [{ address: "fe80::1%eth0", family: 6 }],
      how: "address",
    });
  });

  it("asks the system's resolver for other names", async () => {
    const result = await offline().lookup({ host: "localhost" }, calm());
    expect(result.how).toBe("resolver");
    expect(result.endpoints).toContainEqual({ address: "127.0.0.1", family: 4 });
    expect(await offline().lookup({ host: "no such host" }, calm())).toEqual({
      endpoints: [],
      how: "resolver",
    });
  });

  it("finds nothing by multicast without an interface, and says by which way it looked", async () => {
    const finder = offline();
    expect(await finder.lookup({ host: "pi.local" }, calm())).toEqual({ endpoints: [], how: "mdns" });
    const service = { host: "pi.local", service: "_ssh._tcp" };
    expect(await finder.lookup(service, calm())).toEqual({ endpoints: [], how: "service" });
    finder.refresh({ force: true });
  });

  it("rejects when aborted, before and meanwhile", async () => {
    discovery = createDiscovery({ log, includeLoopback: true, interfaces: loopback });
    for (const host of ["10.0.0.1", "localhost", "pi.local"]) {
      const aborted = AbortSignal.abort(new Error("stop"));
      await expect(discovery.lookup({ host }, aborted)).rejects.toThrow("stop");
    }
    const abort = new AbortController();
    const pending = discovery.lookup({ host: "nobody-has-this-name.local" }, abort.signal);
    abort.abort(new Error("enough"));
    await expect(pending).rejects.toThrow("enough");
  });

  it("ends lookups under way when closed, and finds nothing by multicast afterwards", async () => {
    const finder = createDiscovery({ log, includeLoopback: true, interfaces: loopback });
    const pending = finder.lookup({ host: "nobody-has-this-name.local" }, calm());
    await finder.close();
    expect((await pending).endpoints).toEqual([]);
    expect((await finder.lookup({ host: "pi.local" }, calm())).endpoints).toEqual([]);
    await finder.close();
  });

  it("does not touch the network for what multicast does not know", async () => {
    let listed = 0;
    const finder = createDiscovery({ log, interfaces: () => ((listed += 1), {}) });
    const stop = finder.watch({ host: "10.0.0.1" }, () => undefined);
    await finder.lookup({ host: "10.0.0.1" }, calm());
    finder.refresh();
    stop();
    expect(listed).toBe(0);
    finder.watch({ host: "pi.local" }, () => undefined);
    finder.refresh();
    expect(listed).toBe(2);
    await finder.close();
  });
});
