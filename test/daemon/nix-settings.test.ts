import { expect, it } from "vitest";
import { parseNixSettings } from "../../src/daemon/nix-settings.js";

it("reads lists, words, numbers and switches from nix's own account", () => {
  const settings = parseNixSettings(
    JSON.stringify({
      "trusted-users": { value: ["root", "@wheel"], description: "…" },
      "build-hook": { value: "/usr/bin/hook  --fast" },
      store: { value: "daemon" },
      "narinfo-cache-negative-ttl": { value: 3600 },
      substitute: { value: true },
      odd: { value: { a: 1 } },
    }),
  );
  expect(settings.list("trusted-users")).toEqual(["root", "@wheel"]);
  expect(settings.list("build-hook")).toEqual(["/usr/bin/hook", "--fast"]);
  expect(settings.text("store")).toBe("daemon");
  expect(settings.text("narinfo-cache-negative-ttl")).toBe("3600");
  expect(settings.text("substitute")).toBe("true");
  for (const name of ["odd", "none"]) {
    expect(settings.text(name)).toBe("");
    expect(settings.list(name)).toEqual([]);
  }
});
