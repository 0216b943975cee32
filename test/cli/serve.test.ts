import { expect, test } from "vitest";
import { parseListen } from "../../src/cli/serve.js";

test.each([
  [undefined, { host: null, port: 8080 }],
  ["80", { host: null, port: 80 }],
  ["*:80", { host: null, port: 80 }],
  ["127.0.0.1:8080", { host: "127.0.0.1", port: 8080 }],
  ["nas.lan:0", { host: "nas.lan", port: 0 }],
  ["[::1]:8080", { host: "::1", port: 8080 }],
  ["[fe80::1%eth0]:8080", { host: "fe80::1%eth0", port: 8080 }],
])("%s", (text, at) => {
  expect(parseListen(text)).toEqual(at);
});

test.each(["", ":80", "80:", "::1:80", "65536", "1.2.3.4", "a b:80", "[::1]", "http://x:80"])(
  "not %j",
  (text) => {
    expect(() => parseListen(text)).toThrow(/nothing to listen on/);
  },
);
