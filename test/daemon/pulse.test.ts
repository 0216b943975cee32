import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startPulse } from "../../src/daemon/pulse.js";
import { silentLog } from "../support/silent-log.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function pulse(watchdogMs: number | null, beat: () => Promise<unknown>) {
  const onAlive = vi.fn();
  const started = startPulse({ beat, onAlive, watchdogMs, log: silentLog });
  return { onAlive, started };
}

describe("the pulse", () => {
  it("beats once a minute, and at half of what the watchdog allows", async () => {
    const calm = pulse(null, () => Promise.resolve());
    const watched = pulse(20_000, () => Promise.resolve());
    await vi.advanceTimersByTimeAsync(59_999);
    expect(calm.onAlive).toHaveBeenCalledTimes(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(calm.onAlive).toHaveBeenCalledTimes(1);
    expect(watched.onAlive).toHaveBeenCalledTimes(6);
    calm.started.stop();
    watched.started.stop();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(calm.onAlive).toHaveBeenCalledTimes(1);
  });

  it("says nothing while a beat hangs, begins no other meanwhile, and goes on when it is done", async () => {
    const waiting: (() => void)[] = [];
    const { onAlive, started } = pulse(null, () => new Promise<void>((done) => waiting.push(done)));
    await vi.advanceTimersByTimeAsync(180_000);
    expect(waiting).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20_000);
    waiting[0]?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(onAlive).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(40_000);
    waiting[1]?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(onAlive).toHaveBeenCalledTimes(1);
    started.stop();
  });
});
