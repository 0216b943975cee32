// Two ways to a machine: by the LAN, at home; and by a VPN, from anywhere or only when it is asked for.

import { describe, expect, it } from "vitest";
import { desired } from "../../src/decision/desired.js";
import type { Moment } from "../../src/decision/looks.js";
import { initialState, type CacheState } from "../../src/decision/state.js";
import { transition } from "../../src/decision/transition.js";
import type { Fact } from "../../src/sources/event.js";
import type { NetworkState } from "../../src/sources/netmon.js";
import { connection } from "../support/states.js";

const t0 = 1_000_000;
const wired: NetworkState = {
  interfaces: [{ name: "eth0", carrier: true, addresses: ["10.0.0.2"], gateways: [] }],
};

/** Which of the two ways are for this network, LAN first; `null`: not known yet. */
type Here = readonly [lan: boolean | null, vpn: boolean | null];
const home: Here = [true, true];
const away: Here = [false, true];
const nowhere: Here = [false, false];
const unknown: Here = [null, true];

const at = (here: Here, { vpnOnlyWhenAsked = false, ms = 0 } = {}): Moment => ({
  now: t0 + ms,
  random: 0.5,
  ways: {
    each: [
      { here: here[0], onlyWhenAsked: false },
      { here: here[1], onlyWhenAsked: vpnOnlyWhenAsked },
    ],
    closed: `closed on ${here.join()}`,
  },
});
const asking = (here: Here): Moment => at(here, { vpnOnlyWhenAsked: true });

const network = (moved = true): Fact => ({
  type: "network",
  state: wired,
  connections: [],
  moved,
  cause: "test",
});
const connected = (attempt: number, way: number): Fact => ({
  type: "connected",
  attempt,
  way,
  connection,
  network: wired,
});
const absent = (attempt: number): Fact => ({ type: "absent", attempt, text: "not here" });
const closed = (attempt: number): Fact => ({
  type: "closed",
  attempt,
  failure: { code: "link-lost", text: "it ended", remedy: undefined },
});

/** The state after facts, each at its moment, from the beginning. */
function after(...steps: [Fact, Moment][]): CacheState {
  return steps.reduce((state, [fact, moment]) => transition(state, fact, moment), initialState(t0));
}

const due: Fact = { type: "due" };
const connect: Fact = { type: "connect" };

describe("a look", () => {
  it("goes the ways that are open, the preferred one first", () => {
    expect(desired(after([due, at(home)]))).toMatchObject({ attempt: 1, ways: [0, 1] });
    expect(desired(after([due, at(away)]))).toMatchObject({ attempt: 1, ways: [1] });
  });

  it("is not begun where no way is open, says why, and nothing is waited for", () => {
    const barred = after([due, at(nowhere)]);
    expect(barred).toMatchObject({ name: "offline", reason: "closed on false,false" });
    expect(desired(barred)).toMatchObject({ attempt: null, link: null, wakeAt: null, awaited: false });
    for (const fact of [
      due,
      network(),
      { type: "wake", cause: "" },
      { type: "resume" },
      { type: "tick" },
    ] as Fact[]) {
      expect(transition(barred, fact, at(nowhere))).toBe(barred);
    }
  });

  it("is begun as soon as a way opens, and called off when the last one closes", () => {
    const barred = after([due, at(nowhere)]);
    const begun = transition(barred, network(), at(away));
    expect(desired(begun)).toMatchObject({ ways: [1] });
    expect(desired(begun).attempt).toBeGreaterThan(1);
    const off = transition(begun, network(), at(nowhere));
    expect(desired(off)).toMatchObject({ attempt: null, awaited: false });
    expect(transition(off, connected(begun.attempt, 1), at(nowhere))).toBe(off);
  });

  it("begins anew when other ways are open", () => {
    const begun = after([due, at(away)]);
    const anew = transition(begun, network(false), at(home));
    expect(desired(anew)).toMatchObject({ attempt: begun.attempt + 1, ways: [0, 1] });
    expect(transition(anew, network(false), at(home))).toBe(anew);
  });

  it("is put off for a moment while it is not known where we are, and not lost", () => {
    const put = after([due, at(unknown)]);
    expect(desired(put)).toMatchObject({ attempt: null, wakeAt: t0 + 500 });
    expect(desired(transition(put, due, at(unknown, { ms: 500 })))).toMatchObject({ wakeAt: t0 + 1_000 });
    expect(desired(transition(put, network(false), at(home)))).toMatchObject({ ways: [0, 1] });
    const begun = after([due, at(away)]);
    expect(transition(begun, network(false), at(unknown))).toBe(begun);
  });

  it("ends its rest when the network closes the last way, failures forgotten", () => {
    const resting = after([due, at(away)], [absent(1), at(away)]);
    expect(desired(transition(resting, network(false), at(nowhere)))).toMatchObject({
      attempt: null,
      wakeAt: null,
    });
  });
});

describe("a connection", () => {
  it("is given up on a network that its way is not for, at once, and only when that is certain", () => {
    const online = after([due, at(home)], [connected(1, 0), at(home)]);
    expect(transition(online, { type: "tick" }, at(unknown))).toBe(online);
    const left = transition(online, { type: "tick" }, at(away));
    expect(left).toMatchObject({ name: "offline", reason: "it is not used on this network" });
    expect(desired(left)).toMatchObject({ link: null, attempt: 2, ways: [1] });
    expect(transition(online, { type: "tick" }, at(nowhere))).toMatchObject({
      reason: "closed on false,false",
    });
  });

  it("by the preferred way looks for no other", () => {
    const online = after([due, at(home)], [connected(1, 0), at(home)]);
    expect(desired(online)).toMatchObject({ link: 1, attempt: null, wakeAt: null });
  });
});

describe("a connection by a lesser way", () => {
  const lesser = (): CacheState => after([due, at(home)], [connected(1, 1), at(home)]);

  it("looks for the better one from time to time, beside the connection", () => {
    const online = lesser();
    expect(desired(online)).toMatchObject({ link: 1, listed: true, attempt: null, wakeAt: t0 + 30_000 });
    const seeking = transition(online, due, at(home));
    expect(desired(seeking)).toMatchObject({ link: 1, listed: true, attempt: 2, ways: [0], wakeAt: null });
    const again = transition(seeking, absent(2), at(home));
    expect(desired(again)).toMatchObject({ link: 1, listed: true, attempt: null, wakeAt: t0 + 60_000 });
    expect(transition(again, absent(2), at(home))).toBe(again);
  });

  it.each<[string, Fact]>([
    ["another network", network()],
    ["a person", { type: "resume" }],
  ])("looks for it at once at a sign from %s", (_from, fact) => {
    expect(desired(transition(lesser(), fact, at(home)))).toMatchObject({ link: 1, attempt: 2, ways: [0] });
  });

  it("looks for it soon when the machine announces itself, but not more often than every five seconds", () => {
    const announced: Fact = { type: "news", kind: "announced", endpoints: [] };
    const soon = transition(lesser(), announced, at(home, { ms: 1_000 }));
    expect(desired(soon)).toMatchObject({ link: 1, attempt: null, wakeAt: t0 + 6_000 });
    expect(transition(soon, announced, at(home, { ms: 2_000 }))).toBe(soon);
  });

  it("looks for it at once when it opens, and not where it is closed", () => {
    const online = after([due, at(away)], [connected(1, 1), at(away)]);
    expect(desired(online)).toMatchObject({ link: 1, attempt: null, wakeAt: null });
    const seeking = transition(online, network(false), at(home));
    expect(desired(seeking)).toMatchObject({ link: 1, attempt: 2, ways: [0] });
    const back = transition(seeking, network(false), at(away));
    expect(desired(back)).toMatchObject({ link: 1, attempt: null, wakeAt: null });
    expect(desired(transition(back, network(false), at(home)))).toMatchObject({ attempt: 3, ways: [0] });
  });

  it("is replaced by the better one, and stays what it was when the look ends in vain or late", () => {
    const seeking = transition(lesser(), due, at(home));
    const better = transition(seeking, connected(2, 0), at(home, { ms: 9_000 }));
    expect(better).toMatchObject({ name: "online", link: 2, way: 0, since: t0 });
    expect(desired(better)).toMatchObject({ link: 2, listed: true, attempt: null, wakeAt: null });
    expect(transition(better, closed(1), at(home))).toBe(better);
    expect(transition(seeking, { type: "found", attempt: 2, endpoints: [] }, at(home))).toBe(seeking);
    expect(desired(transition(seeking, closed(1), at(home)))).toMatchObject({
      link: null,
      attempt: 3,
      ways: [0, 1],
    });
  });
});

describe("a way that is only for when it is asked for", () => {
  /** Online by it, as asked. */
  const reached = (): CacheState => {
    const asked = after([due, asking(away)], [connect, asking(away)]);
    const online = transition(asked, connected(asked.attempt, 1), asking(away));
    expect(online).toMatchObject({ name: "online", link, way: 1 });
    return online;
  };
  const link = 3;

  it("is not tried before, and is tried then", () => {
    const barred = after([due, asking(away)]);
    expect(desired(barred)).toMatchObject({ attempt: null, wakeAt: null });
    const asked = transition(barred, connect, asking(away));
    expect(asked).toMatchObject({ reason: "looking for it, as you asked" });
    expect(desired(asked)).toMatchObject({ ways: [1] });
    expect(desired(transition(after([due, asking(home)]), connect, asking(home)))).toMatchObject({
      attempt: 2,
      ways: [0, 1],
    });
  });

  it("ends a pause, and a rest", () => {
    const paused = after([{ type: "pause" }, asking(away)]);
    expect(desired(transition(paused, connect, asking(away)))).toMatchObject({ ways: [1] });
    const resting = after([due, asking(home)], [absent(1), asking(home)]);
    expect(desired(transition(resting, connect, asking(home)))).toMatchObject({ attempt: 2, ways: [0, 1] });
  });

  it("is tried again when its link is lost", () => {
    const lost = transition(reached(), closed(link), asking(away));
    expect(desired(lost)).toMatchObject({ link: null, ways: [1] });
    expect(desired(lost).attempt).not.toBeNull();
  });

  it.each<[string, Fact[]]>([
    ["a pause", [{ type: "pause" }, { type: "resume" }]],
    ["sleep", [{ type: "sleep" }, { type: "wake", cause: "logind" }]],
  ])("is asked for until %s", (_what, facts) => {
    const state = facts.reduce((before, fact) => transition(before, fact, asking(away)), reached());
    expect(desired(state)).toMatchObject({ link: null, attempt: null, wakeAt: null });
  });

  it("is asked for until the machine is reached by another way", () => {
    const seeking = transition(reached(), network(), asking(home));
    expect(desired(seeking)).toMatchObject({ link, attempt: link + 1, ways: [0] });
    const better = transition(seeking, connected(link + 1, 0), asking(home));
    expect(better.asked).toBe(false);
    expect(desired(transition(better, closed(link + 1), asking(home)))).toMatchObject({ ways: [0] });
  });

  it("is kept over a sleep that only the clock told of, if the link is still there", () => {
    const awake = transition(reached(), { type: "wake", cause: "clock" }, asking(away));
    expect(desired(awake)).toMatchObject({ link, listed: false, probe: true });
    expect(desired(transition(awake, closed(link), asking(away)))).toMatchObject({
      link: null,
      attempt: null,
    });
  });
});
