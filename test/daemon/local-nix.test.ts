import { describe, expect, it } from "vitest";
import { matchesTrusted, opensStoreItself } from "../../src/daemon/local-nix.js";
import { temporaryFolder } from "../support/temp-folder.js";

describe("trusted users", () => {
  it("match by name, by group and by *", () => {
    expect(matchesTrusted(["root", "ada"], "ada", ["users"])).toBe(true);
    expect(matchesTrusted(["root", "@wheel"], "ada", ["users", "wheel"])).toBe(true);
    expect(matchesTrusted(["*"], "ada", [])).toBe(true);
    expect(matchesTrusted(["root", "@wheel", "wheel"], "ada", ["users"])).toBe(false);
  });
});

describe("a store that Nix opens itself", () => {
  it("is what `auto` means to who may write to Nix's state", () => {
    expect(opensStoreItself("auto", temporaryFolder())).toBe(true);
    expect(opensStoreItself("auto", "/nonexistent")).toBe(false);
  });

  it("is a local one, whatever may be written to, and never the nix-daemon's", () => {
    for (const store of ["local", "local?root=/tmp/x", "/tmp/x"]) {
      expect(opensStoreItself(store, "/nonexistent")).toBe(true);
    }
    for (const store of ["daemon", "unix:///run/socket", "ssh-ng://pi", "local-overlay://x"]) {
      expect(opensStoreItself(store, temporaryFolder())).toBe(false);
    }
  });
});
