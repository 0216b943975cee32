import { describe, expect, it } from "vitest";
import type { CacheLink } from "../../src/daemon/cache-link.js";
import { createEffects } from "../../src/daemon/effects.js";
import type { Tether } from "../../src/daemon/tether.js";
import type { Desired } from "../../src/decision/desired.js";
import { initialState, type CacheState } from "../../src/decision/state.js";
import type { SshLink } from "../../src/link/link.js";
import type { Conditions } from "../../src/sources/conditions.js";
import { onlineState } from "../support/states.js";

/** A tether that comes into use as soon as it is wished for, and writes down what is done to it. */
function fakeTether(name: string, journal: string[], through: () => SshLink | null = () => null): Tether {
  const ssh = {} as SshLink;
  let inUse: number | null = null;
  let uploadsOver: number | null = null;
  return {
    leaves: (wish: Desired) => inUse !== null && inUse !== wish.link,
    takeDown: () => {
      inUse = null;
      journal.push(`down ${name}`);
      return Promise.resolve();
    },
    follow: (wish) => {
      if (wish.link !== null && inUse === null) {
        inUse = wish.link;
        journal.push(`up ${name}`);
      }
      return Promise.resolve();
    },
    ssh: () => (inUse === null ? null : ssh),
    through: () => (inUse === null ? null : through()),
    link: () => (inUse === null ? null : ({} as CacheLink)),
    startUploads: () => {
      if (uploadsOver === inUse) return;
      uploadsOver = inUse;
      journal.push(`uploads ${name}`);
    },
    close: () => Promise.resolve(),
  };
}

const unknown: Conditions = { metered: null, onBattery: null };

/** With `via`, nas is reached through pi. */
function setUp({ via = false } = {}) {
  const journal: string[] = [];
  const pi = fakeTether("pi", journal);
  const nas = fakeTether("nas", journal, () => (via ? pi.ssh() : null));
  const tethers = new Map([
    ["pi", pi],
    ["nas", nas],
  ]);
  const effects = createEffects({
    tethers,
    entryOf: (name) => ({ name, url: `http://127.0.0.1:1/${name}`, publicKeys: [] }),
    writeOverride: async (entries) =>
      void journal.push(`list [${entries.map((entry) => entry.name).join(" ")}]`),
    followConditions: (conditions) => {
      if (conditions !== unknown) journal.push("hold uploads");
    },
    onApplied: () => {},
  });
  const apply = (states: ReadonlyMap<string, CacheState>, conditions: Conditions | null = unknown) =>
    effects(states, conditions);
  return { journal, apply };
}

describe("the order that is promised to Nix", () => {
  it("lists a cache only when all of it stands", async () => {
    const { journal, apply } = setUp();
    await apply(new Map([["pi", onlineState(1)]]));
    expect(journal).toEqual(["list []", "up pi", "list [pi]", "uploads pi"]);
  });

  it("unlists a cache before anything it needs is torn down, and leaves the others listed", async () => {
    const { journal, apply } = setUp();
    await apply(
      new Map([
        ["pi", onlineState(1)],
        ["nas", onlineState(1)],
      ]),
    );
    journal.length = 0;
    await apply(
      new Map<string, CacheState>([
        ["pi", initialState(0)],
        ["nas", onlineState(1)],
      ]),
    );
    expect(journal).toEqual(["list [nas]", "down pi", "list [nas]"]);
  });

  it("unlists and takes down what is reached through a cache before that, and brings it back with its own link", async () => {
    const { journal, apply } = setUp({ via: true });
    const both = new Map([
      ["pi", onlineState(1)],
      ["nas", onlineState(1)],
    ]);
    await apply(both);
    journal.length = 0;
    await apply(
      new Map<string, CacheState>([
        ["pi", initialState(0)],
        ["nas", onlineState(1)],
      ]),
    );
    expect(journal.slice(0, 3)).toEqual(["list []", "down nas", "down pi"]);
    await apply(both);
    journal.length = 0;
    await apply(
      new Map<string, CacheState>([
        ["pi", initialState(0)],
        ["nas", initialState(0)],
      ]),
    );
    expect(journal).toEqual(["list []", "down nas", "down pi", "list []"]);
  });

  it("unlists a cache that is in grave doubt and leaves all of it standing", async () => {
    const { journal, apply } = setUp();
    await apply(new Map([["pi", onlineState(1)]]));
    journal.length = 0;
    await apply(new Map<string, CacheState>([["pi", { ...onlineState(1), doubt: "grave" }]]));
    await apply(new Map<string, CacheState>([["pi", { ...onlineState(1), doubt: "mild" }]]));
    expect(journal).toEqual(["list []", "list []", "list [pi]", "list [pi]"]);
  });

  it("takes the old link down before a new one is used", async () => {
    const { journal, apply } = setUp();
    await apply(new Map([["pi", onlineState(1)]]));
    journal.length = 0;
    await apply(new Map([["pi", onlineState(2)]]));
    expect(journal).toEqual(["list []", "down pi", "up pi", "list [pi]", "uploads pi"]);
  });

  it("follows the conditions before uploads start", async () => {
    const { journal, apply } = setUp();
    await apply(new Map([["pi", onlineState(1)]]), null);
    expect(journal).toEqual(["list []", "up pi", "list [pi]", "hold uploads", "uploads pi"]);
  });
});
