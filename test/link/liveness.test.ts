import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchLiveness } from "../../src/link/liveness.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a silent link is given up 5 to 7.5 s after its last byte, once", () => {
  for (const phase of [100, 1_200, 2_400]) {
    const socket = { bytesRead: 0 };
    const onDead = vi.fn<() => void>();
    const stop = watchLiveness(socket, onDead);
    vi.advanceTimersByTime(phase);
    socket.bytesRead += 1;
    vi.advanceTimersByTime(4_900);
    expect(onDead).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2_700);
    expect(onDead).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(60_000);
    expect(onDead).toHaveBeenCalledOnce();
    stop();
  }
});

test("a byte every few seconds keeps it alive", () => {
  const socket = { bytesRead: 0 };
  const onDead = vi.fn<() => void>();
  const stop = watchLiveness(socket, onDead);
  for (let round = 0; round < 20; round += 1) {
    vi.advanceTimersByTime(4_000);
    socket.bytesRead += 1;
  }
  expect(onDead).not.toHaveBeenCalled();
  stop();
  vi.advanceTimersByTime(60_000);
  expect(onDead).not.toHaveBeenCalled();
});
