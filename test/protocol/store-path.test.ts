import { describe, expect, it } from "vitest";
import {
  baseNameOf,
  isHashPart,
  isStorePath,
  parseBaseName,
  parseStorePath,
} from "../../src/protocol/store-path.js";

const hash = "6h9lcbx523532ax1c5g2351w9bm8ykhy";

describe("store paths", () => {
  it("are taken apart", () => {
    const parts = { hashPart: hash, name: "bash-5.2-p15+x_y?z=1" };
    expect(parseStorePath(`/nix/store/${hash}-bash-5.2-p15+x_y?z=1`)).toEqual(parts);
    expect(parseBaseName(`${hash}-bash-5.2-p15+x_y?z=1`)).toEqual(parts);
    expect(baseNameOf(`/nix/store/${hash}-x`)).toBe(`${hash}-x`);
    expect(isStorePath(`/nix/store/${hash}-.hidden`)).toBe(true);
  });

  it.each([
    `/nix/store/${hash}`,
    `/nix/store/${hash}-`,
    `/nix/store/${hash}-x/bin`,
    `/nix/store/${hash}-x\n`,
    `/nix/store/${hash}-x y`,
    `/nix/store/${hash}-..`,
    `/nix/store/${hash}-.-x`,
    `/nix/store/${hash}-${"x".repeat(212)}`,
    `/nix/store/${hash.replace("6", "e")}-x`,
    `/nix/store/${hash.slice(1)}-x`,
    `/tmp/${hash}-x`,
    `${hash}-x`,
    "",
  ])("are not %j", (text) => {
    expect(isStorePath(text)).toBe(false);
  });

  it("begin with 32 characters of Nix's base 32", () => {
    expect(isHashPart(hash)).toBe(true);
    for (const wrong of ["", hash.slice(1), `${hash}0`, hash.toUpperCase(), hash.replace("c", "t")]) {
      expect(isHashPart(wrong)).toBe(false);
    }
  });
});
