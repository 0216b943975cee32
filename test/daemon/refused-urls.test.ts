import { expect, test } from "vitest";
import { ignoredUrls } from "../../src/daemon/refused-urls.js";

test("the URLs are read from what each Nix says", () => {
  const old = "warning: ignoring untrusted substituter 'http://127.0.0.1:1/pi/0?priority=30'\n";
  const newer =
    "warning: ignoring untrusted substituter 'http://127.0.0.1:1/pi/1?priority=30&trusted=true', you are not a trusted user.\n" +
    "Run `man nix.conf` for more information on the `substituters` configuration option.\n";
  expect(ignoredUrls(`${old}warning: something else 'http://a'\n${newer}`)).toEqual([
    "http://127.0.0.1:1/pi/0?priority=30",
    "http://127.0.0.1:1/pi/1?priority=30&trusted=true",
  ]);
  expect(ignoredUrls("")).toEqual([]);
});
