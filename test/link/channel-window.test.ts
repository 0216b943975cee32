import type { ClientChannel } from "ssh2";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ChannelWindow, SessionWindows } from "../../src/link/channel-window.js";

const MIB = 1024 * 1024;

/** What ssh2 has inside a channel, and what was told through it. */
function fakeChannel(): {
  channel: ClientChannel;
  told: number[];
  send(bytes: number): void;
  leave(bytes: number): void;
  close(): void;
} {
  const told: number[] = [];
  const inside = {
    readableLength: 0,
    incoming: { window: 2 * MIB },
    outgoing: { id: 7, state: "open" },
    _client: {
      _protocol: { channelWindowAdjust: (id: number, bytes: number) => void (id === 7 && told.push(bytes)) },
    },
  };
  return {
    channel: inside as unknown as ClientChannel,
    told,
    send: (bytes) => (inside.incoming.window -= bytes),
    leave: (bytes) => (inside.readableLength = bytes),
    close: () => (inside.outgoing.state = "closed"),
  };
}

describe("a channel's window", () => {
  let now = 0;
  beforeEach(() => {
    now = 0;
    vi.spyOn(performance, "now").mockImplementation(() => now);
  });
  afterEach(() => vi.restoreAllMocks());

  const session = (roundTripMs: number, bytes?: number): SessionWindows => {
    const windows = new SessionWindows(bytes);
    windows.answered(roundTripMs);
    return windows;
  };
  /** All of a window of 2 MiB is sent and taken within so many milliseconds. */
  const takeAll = (window: ChannelWindow, { send }: ReturnType<typeof fakeChannel>, ms: number): void => {
    send(2 * MIB);
    now += ms;
    window.took(2 * MIB);
    window.open();
  };

  it("is told of by the half where a round trip is short, and by the quarter elsewhere", () => {
    for (const [roundTripMs, told] of [
      [0.5, [1_100_000]],
      [20, [600_000]],
    ] as const) {
      const fake = fakeChannel();
      const window = new ChannelWindow(fake.channel, session(roundTripMs));
      for (const bytes of [500_000, 100_000, 400_000, 100_000]) {
        fake.send(bytes);
        window.took(bytes);
        window.open();
      }
      expect(fake.told).toEqual(told);
    }
  });

  it("is not told of while its reader wants no more, and then at once", () => {
    const fake = fakeChannel();
    const window = new ChannelWindow(fake.channel, session(20));
    fake.send(2 * MIB);
    window.took(MIB);
    expect(fake.told).toEqual([]);
    window.open();
    expect(fake.told).toEqual([2 * MIB]);
  });

  it("counts what lies there unread", () => {
    const fake = fakeChannel();
    const window = new ChannelWindow(fake.channel, session(20));
    fake.send(2 * MIB);
    fake.leave(1.75 * MIB);
    window.took(0.25 * MIB);
    window.open();
    expect(fake.told).toEqual([]);
    fake.leave(0.75 * MIB);
    window.took(MIB);
    window.open();
    expect(fake.told).toEqual([1.25 * MIB]);
  });

  it("grows where it is taken in a round trip, and not where it takes many", () => {
    const quick = fakeChannel();
    takeAll(new ChannelWindow(quick.channel, session(20)), quick, 21);
    expect(quick.told).toEqual([4 * MIB]);
    const slow = fakeChannel();
    takeAll(new ChannelWindow(slow.channel, session(20)), slow, 41);
    expect(slow.told).toEqual([2 * MIB]);
  });

  it("goes by the shortest round trip", () => {
    const windows = session(20);
    windows.answered(5);
    windows.answered(50);
    expect(windows.roundTripMs).toBe(5);
    const fake = fakeChannel();
    takeAll(new ChannelWindow(fake.channel, windows), fake, 21);
    expect(fake.told).toEqual([2 * MIB]);
  });

  it("does not grow while no round trip was seen", () => {
    const fake = fakeChannel();
    takeAll(new ChannelWindow(fake.channel, new SessionWindows()), fake, 0);
    expect(fake.told).toEqual([2 * MIB]);
  });

  it("grows by what the session has left, which a closed one gives back", () => {
    const windows = session(20, 2 * MIB);
    const [first, second] = [fakeChannel(), fakeChannel()];
    const [one, other] = [first, second].map(({ channel }) => new ChannelWindow(channel, windows)) as [
      ChannelWindow,
      ChannelWindow,
    ];
    takeAll(one, first, 20);
    takeAll(other, second, 20);
    expect([first.told, second.told]).toEqual([[4 * MIB], [2 * MIB]]);
    one.close();
    one.close();
    takeAll(other, second, 20);
    expect(second.told).toEqual([2 * MIB, 4 * MIB]);
    expect(windows.take(1)).toBe(false);
  });

  it("of a channel that is closed nothing is told", () => {
    const fake = fakeChannel();
    const window = new ChannelWindow(fake.channel, session(20));
    fake.send(2 * MIB);
    fake.close();
    window.open();
    expect(fake.told).toEqual([]);
  });

  it("is left alone where ssh2 keeps it otherwise", () => {
    const window = new ChannelWindow({} as ClientChannel, session(20));
    window.took(8 * MIB);
    expect(() => window.open()).not.toThrow();
  });
});
