import { describe, expect, it } from "vitest";
import { parseOptions } from "../../bench/options.js";

const letters = ["a", "b"];

describe("the bench's command line", () => {
  it("measures everything where nothing is said", () => {
    const options = parseOptions([], letters);
    expect(options).toMatchObject({
      only: letters,
      rounds: 3,
      delays: [0, 3, 20],
      nix: ["2.34", "2.8"],
      scale: 1,
    });
  });

  it("takes what is said, also beside --quick", () => {
    const argv = ["--quick", "--only", "b", "--rounds", "5", "--delay", "0,1.5", "--nix", "2.8"];
    const options = parseOptions(argv, letters);
    expect(options).toMatchObject({ only: ["b"], rounds: 5, delays: [0, 1.5], nix: ["2.8"], scale: 0.1 });
  });

  it.each([
    [["--only", "x"], "there is no x, only a, b"],
    [["--nix", "3"], "3 is none of 2.8, 2.26, 2.34"],
    [["--rounds", "0"], "must be more than 0"],
    [["--delay", "3,"], "--delay:  is no number"],
    [["--fast"], "Unknown option '--fast'"],
  ])("refuses %j", (argv, words) => {
    expect(() => parseOptions(argv, letters)).toThrow(words);
  });
});
