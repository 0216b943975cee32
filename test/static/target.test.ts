import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.js";
import { resolveTarget } from "../../src/static/target.js";

const config = configSchema.parse({
  static: {
    disk: {
      host: "raspberrypi.local",
      user: "pi",
      path: "/srv/cache",
      "signing-key": "/k",
      compression: "xz",
      "older-than": "2w",
      "max-size": "2G",
      keep: ["nixos-system-*"],
    },
    here: { path: "/srv/here" },
  },
});
const resolve = (word: string): ReturnType<typeof resolveTarget> => resolveTarget(word, config, "/home/ada");

test("a configured cache, there and here", () => {
  expect(resolve("disk")).toEqual({
    name: "disk",
    place: {
      kind: "sftp",
      folder: "/srv/cache",
      link: { host: "raspberrypi.local", user: "pi" },
    },
    signingKey: "/k",
    compression: "xz",
    collection: { olderThanMs: 1_209_600_000, maxBytes: 2 ** 31, keep: ["nixos-system-*"] },
  });
  expect(resolve("here")).toMatchObject({ place: { kind: "local", folder: "/srv/here" }, signingKey: null });
});

test("a folder and a URL", () => {
  expect(resolve("./cache").place).toEqual({ kind: "local", folder: "/home/ada/cache" });
  expect(resolve("/srv/x/").place).toEqual({ kind: "local", folder: "/srv/x" });
  expect(resolve("sftp://me@nas.local:2222/srv/my%20cache").place).toEqual({
    kind: "sftp",
    folder: "/srv/my cache",
    link: { host: "nas.local", user: "me", port: 2222 },
  });
  expect(resolve("sftp://[fe80::1]/srv").place).toMatchObject({ link: { host: "fe80::1" } });
});

test.each([
  ["dsik", /no static cache named "dsik"/],
  ["toString", /no static cache named/],
  ["sftp://me:secret@nas/srv", /sftp:\/\/me:…@nas\/srv is no place .* password/],
  ["sftp://nas", /names no folder/],
  ["sftp:///srv", /names no host/],
  ["sftp://-oProxyCommand=x/srv", /names no host|no URL/],
  ["sftp://nas/srv?x=1", /mean nothing/],
  ["sftp://nas/100%", /% in it is written %25/],
  ["http://nas/cache", /no static cache named/],
])("%s is refused", (word, why) => {
  expect(() => resolve(word)).toThrow(why);
});
