import { describe, expect, it } from "vitest";
import { desired } from "../../src/decision/desired.js";
import { initialState, type CacheState } from "../../src/decision/state.js";
import type { Moment } from "../../src/decision/looks.js";
import { transition } from "../../src/decision/transition.js";
import type { Fact } from "../../src/sources/event.js";
import type { NetworkState } from "../../src/sources/netmon.js";
import { connection, everywhere } from "../support/states.js";

const t0 = 1_000_000;
const at = (ms: number): Moment => ({ now: t0 + ms, random: 0.5, ways: everywhere });
const moment = at(0);
const home: NetworkState = {
  interfaces: [{ name: "eth0", carrier: true, addresses: ["10.0.0.2", "fe80::2"], gateways: [] }],
};
const unplugged: NetworkState = {
  interfaces: [{ name: "eth0", carrier: false, addresses: ["10.0.0.2"], gateways: [] }],
};
const elsewhere: NetworkState = {
  interfaces: [{ name: "wlan0", carrier: true, addresses: ["172.16.0.9"], gateways: [] }],
};
const network = (state: NetworkState, moved = true): Fact => ({
  type: "network",
  state,
  connections: [],
  moved,
  cause: "test",
});
const failure = { code: "unreachable", text: "connection refused", remedy: undefined };

/** The state after a list of facts, from the beginning. */
function after(...facts: Fact[]): CacheState {
  return facts.reduce((state, fact) => transition(state, fact, moment), initialState(t0));
}

const online = (): CacheState =>
  after(
    { type: "due" },
    { type: "found", attempt: 1, endpoints: [] },
    { type: "connected", attempt: 1, way: 0, connection, network: home },
  );

describe("coming up", () => {
  it("is due at once, looks, connects and is in use", () => {
    expect(desired(initialState(t0))).toMatchObject({ attempt: null, link: null, wakeAt: t0 });
    expect(desired(after({ type: "due" }))).toMatchObject({ attempt: 1, link: null, wakeAt: null });
    expect(after({ type: "due" }, { type: "found", attempt: 1, endpoints: [] }).name).toBe("connecting");
    expect(online()).toMatchObject({ name: "online", connection });
    expect(desired(online())).toEqual({
      attempt: null,
      ways: [],
      link: 1,
      listed: true,
      probe: false,
      awaited: true,
      wakeAt: null,
    });
  });

  it("does not list a connection whose cable was pulled as it came up, until it has answered", () => {
    const state = after(
      { type: "due" },
      { type: "connected", attempt: 1, way: 0, connection, network: unplugged },
    );
    expect(desired(state)).toEqual({
      attempt: null,
      ways: [],
      link: 1,
      listed: false,
      probe: true,
      awaited: true,
      wakeAt: null,
    });
    // An address that is not the kernel's to show, and answers all the same.
    const alive = transition(state, { type: "probed", attempt: 1, alive: true }, moment);
    expect(desired(alive)).toMatchObject({ listed: true, probe: false });
  });

  it("rests longer after each look that finds nothing, up to a cap", () => {
    let state = initialState(t0);
    const delays: number[] = [];
    for (let n = 1; n <= 8; n++) {
      state = transition(state, { type: "due" }, moment);
      state = transition(state, { type: "absent", attempt: n, text: "not here" }, moment);
      delays.push((desired(state).wakeAt ?? 0) - t0);
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(state).toMatchObject({ name: "offline", reason: "not here" });
  });

  it("keeps the failure in view while it retries, and since when", () => {
    const failed = after({ type: "due" }, { type: "failed", attempt: 1, failure });
    expect(failed).toMatchObject({ name: "waiting", failure, since: t0 });
    const later = at(9_000);
    const retrying = transition(failed, { type: "due" }, later);
    expect(retrying.name).toBe("waiting");
    expect(desired(retrying).attempt).toBe(2);
    const again = transition(retrying, { type: "failed", attempt: 2, failure }, later);
    expect(again).toMatchObject({ name: "waiting", since: t0, tries: 2 });
  });

  it("takes no notice of a report from an older try", () => {
    const second = after({ type: "due" }, network(elsewhere));
    expect(second.attempt).toBe(2);
    for (const stale of [
      { type: "connected", attempt: 1, way: 0, connection, network: home },
      { type: "failed", attempt: 1, failure },
      { type: "absent", attempt: 1, text: "" },
    ] as const) {
      expect(transition(second, stale, moment)).toBe(second);
    }
  });

  it("takes no notice of a second report of the same try", () => {
    const failed = after({ type: "due" }, { type: "failed", attempt: 1, failure });
    expect(
      transition(failed, { type: "connected", attempt: 1, way: 0, connection, network: home }, moment),
    ).toBe(failed);
    expect(transition(failed, { type: "failed", attempt: 1, failure }, moment)).toBe(failed);
  });
});

describe("a network event", () => {
  it("takes a cache out of use at once when its interface lost the carrier", () => {
    const state = transition(online(), network(unplugged), moment);
    expect(state).toMatchObject({ name: "offline", reason: "the network went away" });
    expect(desired(state)).toMatchObject({ link: null, attempt: 2 });
  });

  it("takes it out of use when its own address is gone", () => {
    expect(transition(online(), network(elsewhere), moment).name).toBe("offline");
  });

  it.each([true, false])(
    "asks whether it still answers, whether something else changed or not (%s)",
    (moved) => {
      const state = transition(online(), network(home, moved), moment);
      expect(desired(state)).toMatchObject({ link: 1, listed: true, probe: true });
      const alive = transition(state, { type: "probed", attempt: 1, alive: true }, moment);
      expect(desired(alive)).toMatchObject({ link: 1, probe: false });
      const dead = transition(state, { type: "probed", attempt: 1, alive: false }, moment);
      expect(desired(dead)).toMatchObject({ link: null, attempt: 2 });
    },
  );

  it("keeps a connection over loopback, which no cable carries", () => {
    const local = { ...connection, localAddress: "127.0.0.1" };
    const state = after(
      { type: "due" },
      { type: "connected", attempt: 1, way: 0, connection: local, network: home },
    );
    expect(desired(transition(state, network(unplugged), moment)).link).toBe(1);
  });

  it("knows its interface by a link-local address whatever the scope says", () => {
    const local = { ...connection, localAddress: "fe80::2%eth0" };
    const state = after(
      { type: "due" },
      { type: "connected", attempt: 1, way: 0, connection: local, network: home },
    );
    expect(desired(transition(state, network(home), moment)).link).toBe(1);
    expect(desired(transition(state, network(elsewhere), moment)).link).toBeNull();
  });

  it("resets the delays and looks at once", () => {
    let state = after({ type: "due" }, { type: "failed", attempt: 1, failure });
    state = transition(state, { type: "due" }, moment);
    state = transition(state, { type: "failed", attempt: 2, failure }, moment);
    state = transition(state, network(home, false), moment);
    expect(state).toMatchObject({ name: "waiting", tries: 0 });
    expect(desired(state).attempt).toBe(3);
  });

  it("lets a try go on when nothing differs, and begins anew when something does", () => {
    const trying = after({ type: "due" });
    expect(transition(trying, network(home, false), moment)).toBe(trying);
    expect(desired(transition(trying, network(home), moment)).attempt).toBe(2);
  });
});

describe("sleep", () => {
  it("puts everything away and holds still until waking, whatever the network says", () => {
    const asleep = transition(online(), { type: "sleep" }, moment);
    expect(desired(asleep)).toEqual({
      attempt: null,
      ways: [],
      link: null,
      listed: false,
      probe: false,
      awaited: true,
      wakeAt: null,
    });
    expect(transition(asleep, network(home), moment)).toBe(asleep);
    expect(transition(asleep, { type: "due" }, moment)).toBe(asleep);
    const awake = transition(asleep, { type: "wake", cause: "logind" }, moment);
    expect(desired(awake).attempt).not.toBeNull();
  });

  it("unlists until the machine has answered when only the clock told of it", () => {
    const awake = transition(online(), { type: "wake", cause: "clock" }, moment);
    expect(desired(awake)).toMatchObject({ link: 1, listed: false, probe: true });
    // What else is heard meanwhile does not make it better.
    const still = transition(awake, network(home), moment);
    expect(desired(still)).toMatchObject({ link: 1, listed: false, probe: true });
    const alive = transition(still, { type: "probed", attempt: 1, alive: true }, moment);
    expect(desired(alive)).toMatchObject({ link: 1, listed: true, probe: false });
    const dead = transition(still, { type: "probed", attempt: 1, alive: false }, moment);
    expect(desired(dead)).toMatchObject({ link: null, attempt: 2 });
  });

  it("does not take the late word of a link from before the sleep", () => {
    const asleep = transition(online(), { type: "sleep" }, moment);
    expect(transition(asleep, { type: "closed", attempt: 1, failure }, moment)).toBe(asleep);
  });
});

describe("what multicast says", () => {
  const from = (address: string): Fact => ({
    type: "news",
    kind: "announced",
    endpoints: [{ address, family: 4 }],
  });

  it("starts a look at once for a machine that was away", () => {
    const away = after({ type: "due" }, { type: "absent", attempt: 1, text: "" });
    expect(desired(transition(away, from("10.0.0.1"), moment)).attempt).toBe(2);
  });

  it("is old news when it names the address in use, and a reason to ask when not", () => {
    const state = online();
    expect(transition(state, from("10.0.0.1"), moment)).toBe(state);
    expect(desired(transition(state, from("10.0.0.77"), moment)).probe).toBe(true);
    expect(desired(transition(state, { type: "news", kind: "goodbye", endpoints: [] }, moment)).probe).toBe(
      true,
    );
  });
});

describe("a stranger that uses the machine's name", () => {
  const announced: Fact = {
    type: "news",
    kind: "announced",
    endpoints: [{ address: "10.9.9.9", family: 4 }],
  };
  const stranger = { ...failure, code: "host-key-changed" };
  const refused = (): CacheState => after({ type: "due" }, { type: "failed", attempt: 1, failure: stranger });

  it("is looked at again when it announces itself, but not more often than every five seconds", () => {
    let state = transition(refused(), announced, at(100));
    expect(desired(state)).toMatchObject({ attempt: null, wakeAt: t0 + 5_000 });
    state = transition(state, announced, at(200));
    expect(desired(state)).toMatchObject({ attempt: null, wakeAt: t0 + 5_000 });
    expect(desired(transition(refused(), announced, at(5_000))).attempt).toBe(2);
  });

  it("does not make the other pauses shorter by announcing itself", () => {
    let state = transition(refused(), announced, at(5_000));
    state = transition(state, { type: "failed", attempt: 2, failure: stranger }, at(5_000));
    expect(state).toMatchObject({ name: "waiting", tries: 2 });
    expect(desired(state).wakeAt).toBe(t0 + 5_000 + 30_000);
  });

  it("is looked at as seldom when only a container starts", () => {
    const state = transition(refused(), network(home, false), at(100));
    expect(desired(state)).toMatchObject({ attempt: null, wakeAt: t0 + 5_000 });
    expect(transition(state, network(home, false), at(200))).toBe(state);
  });

  it("is forgotten in the next network", () => {
    const state = transition(refused(), network(home), at(100));
    expect(desired(state).attempt).toBe(2);
  });
});

describe("pause", () => {
  it("takes the cache out of use and nothing but resume brings it back", () => {
    const paused = transition(online(), { type: "pause" }, moment);
    expect(desired(paused)).toEqual({
      attempt: null,
      ways: [],
      link: null,
      listed: false,
      probe: false,
      awaited: false,
      wakeAt: null,
    });
    for (const fact of [
      network(home),
      { type: "wake", cause: "" },
      { type: "due" },
      { type: "sleep" },
    ] as Fact[]) {
      expect(transition(paused, fact, moment)).toBe(paused);
    }
    expect(desired(transition(paused, { type: "resume" }, moment)).attempt).toBe(2);
  });

  it("is not needed for resume to end a rest, which leaves alone what is under way or in use", () => {
    const resume = { type: "resume" } as const;
    const waiting = after({ type: "due" }, { type: "failed", attempt: 1, failure });
    const again = transition(waiting, resume, moment);
    expect(again).toMatchObject({ name: "waiting", tries: 0 });
    expect(desired(again)).toMatchObject({ attempt: 2, wakeAt: null });
    for (const state of [
      again,
      online(),
      after({ type: "due" }),
      transition(waiting, { type: "sleep" }, moment),
    ]) {
      expect(transition(state, resume, moment)).toBe(state);
    }
  });
});

it("tries again at once when the link of a cache in use ends", () => {
  const state = transition(online(), { type: "closed", attempt: 1, failure }, moment);
  expect(state).toMatchObject({ name: "offline", reason: "connection refused" });
  expect(desired(state)).toMatchObject({ link: null, attempt: 2 });
});

it("is the same after a change that only concerns how it is listed", () => {
  for (const state of [initialState(t0), online()]) {
    expect(transition(state, { type: "relist" }, moment)).toBe(state);
  }
});

it("does not hammer a machine that refuses us, but looks often for a key that the user is about to add", () => {
  const delayOf = (code: string): number => {
    const state = after({ type: "due" }, { type: "failed", attempt: 1, failure: { ...failure, code } });
    return (desired(state).wakeAt ?? 0) - t0;
  };
  expect(delayOf("auth-failed")).toBe(15_000);
  expect(delayOf("host-key-changed")).toBe(15_000);
  expect(delayOf("agent-empty")).toBe(5_000);
  expect(delayOf("unreachable")).toBe(500);
});
