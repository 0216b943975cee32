import { expect, test } from "vitest";
import type { SshCacheConfig } from "../../src/config/schema.js";
import { waysOf } from "../../src/daemon/cache-ways.js";
import type { Network } from "../../src/decision/ways.js";
import { planWays } from "../../src/doctor/ways.js";
import { cacheConfig } from "../support/cache-config.js";

const home: Network = {
  state: { interfaces: [{ name: "eth0", carrier: true, addresses: ["192.0.2.9"], gateways: ["192.0.2.1"] }] },
  connections: [{ name: "home", ssid: null, interfaces: ["eth0"] }],
};

const planned = (
  table: Partial<SshCacheConfig>,
  { network = home, used = null }: { network?: Network; used?: string | null } = {},
): [label: string | null, depth: string, rule: string | null][] =>
  planWays("pi", waysOf(cacheConfig({ host: "pi.local", ...table })), { network, used }).map(
    ({ label, depth, rule }) => [label, depth, rule === null ? null : `${rule.mark}: ${rule.text}`],
  );

const vpn = { host: "pi.vpn", uploads: true, "only-when-asked": false };

test("the only way, for everywhere, needs no word", () => {
  expect(planned({})).toEqual([[null, "whole", null]]);
});

test("a network's rules are told, and of several ways by which each is", () => {
  const ways = [vpn, { ...vpn, networks: ["office"] }];
  expect(planned({ networks: ["home"], ways })).toEqual([
    ["pi.local", "whole", "ok: for this network (home, gateway:192.0.2.1)"],
    ["pi.vpn", "whole", null],
    ["pi.vpn (2)", "closed", "skipped: not tried on this network (home, gateway:192.0.2.1): only on office"],
  ]);
});

test("a way that waits to be asked for is looked at without a login, until the daemon goes it", () => {
  const table = { "only-when-asked": true };
  expect(planned(table)).toEqual([
    [null, "unused", "skipped: only when you ask for it (nix-tether connect pi), so no login is tried"],
  ]);
  expect(planned(table, { used: "pi.vpn" })[0]?.[1]).toBe("unused");
  expect(planned(table, { used: "pi.local" })).toEqual([
    [null, "whole", "ok: only when you ask for it, as you have"],
  ]);
  const [both] = planned({ ...table, networks: ["home"] });
  expect(both?.[2]).toMatch(/^skipped: for this network \(.*\), but only when you ask for it/);
  const [elsewhere] = planned({ ...table, networks: ["office"] });
  expect(elsewhere?.slice(1)).toEqual(["closed", expect.stringMatching(/: only on office$/)]);
});
