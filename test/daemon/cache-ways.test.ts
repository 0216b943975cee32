import { expect, test } from "vitest";
import { cacheSchema } from "../../src/config/cache-schema.js";
import { waysOf } from "../../src/daemon/cache-ways.js";
import { cacheConfig } from "../support/cache-config.js";

test("a cache with nothing but its host has one way, for everywhere", () => {
  const config = cacheConfig({ host: "pi.local" });
  expect(waysOf(config)).toEqual([
    { config, host: "pi.local", networks: null, onlyWhenAsked: false, uploads: true },
  ]);
});

test("other ways come after it, with the cache's port and login but not what is browsed for", () => {
  const way = { uploads: true, "only-when-asked": false };
  const config = cacheConfig({
    host: "pi.local",
    user: "pi",
    port: 2222,
    service: "_ssh._tcp",
    networks: ["home"],
    ways: [
      { ...way, host: "pi.vpn", uploads: false },
      { ...way, host: "198.51.100.7", port: 443, "only-when-asked": true },
    ],
  });
  const ways = waysOf(config);
  expect(ways.map((one) => one.config)).toMatchObject([
    { host: "pi.local", user: "pi", port: 2222, service: "_ssh._tcp" },
    { host: "pi.vpn", user: "pi", port: 2222 },
    { host: "198.51.100.7", user: "pi", port: 443 },
  ]);
  expect(ways[1]?.config.service).toBeUndefined();
  expect(ways.map(({ config: _config, host: _host, ...rest }) => rest)).toEqual([
    { networks: [{ kind: "connection", value: "home" }], onlyWhenAsked: false, uploads: true },
    { networks: null, onlyWhenAsked: false, uploads: false },
    { networks: null, onlyWhenAsked: true, uploads: true },
  ]);
});

test("the ways to an HTTP cache are its URLs, each through another machine or none, and take no uploads", () => {
  const config = cacheSchema.parse({
    type: "http",
    url: "http://nas.local/cache",
    via: "pi",
    "netrc-file": "/netrc",
    ways: [{ url: "https://nas.vpn:8443/", networks: ["office"], "only-when-asked": true }],
  });
  expect(waysOf(config)).toMatchObject([
    { host: "nas.local through pi", networks: null, uploads: false, config: { via: "pi" } },
    {
      host: "nas.vpn:8443",
      networks: [{ kind: "connection", value: "office" }],
      onlyWhenAsked: true,
      uploads: false,
      config: { url: "https://nas.vpn:8443/", "netrc-file": "/netrc" },
    },
  ]);
  expect(waysOf(config)[1]?.config).not.toHaveProperty("via");
});

test("rules are taken apart, and addresses written as the kernel's are", () => {
  const networks = ["Home: upstairs", "connection:ssid:x", "ssid:Our Wi-Fi", "gateway:FE80::0:1"];
  expect(waysOf(cacheConfig({ host: "pi", networks }))[0].networks).toEqual([
    { kind: "connection", value: "Home: upstairs" },
    { kind: "connection", value: "ssid:x" },
    { kind: "ssid", value: "Our Wi-Fi" },
    { kind: "gateway", value: "fe80::1" },
  ]);
});
