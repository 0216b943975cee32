import { describe, expect, it } from "vitest";
import { matchesTrusted, trustedUsers } from "../../src/daemon/local-nix.js";

describe("trusted users", () => {
  it("are read from nix's own account of its settings", () => {
    expect(trustedUsers('{"trusted-users":{"value":["root","@wheel"],"description":"…"}}')).toEqual([
      "root",
      "@wheel",
    ]);
    expect(trustedUsers("{}")).toEqual([]);
  });

  it("match by name, by group and by *", () => {
    expect(matchesTrusted(["root", "ada"], "ada", ["users"])).toBe(true);
    expect(matchesTrusted(["root", "@wheel"], "ada", ["users", "wheel"])).toBe(true);
    expect(matchesTrusted(["*"], "ada", [])).toBe(true);
    expect(matchesTrusted(["root", "@wheel", "wheel"], "ada", ["users"])).toBe(false);
  });
});
