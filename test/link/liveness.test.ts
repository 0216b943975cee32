import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchLiveness } from "../../src/link/liveness.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched() {
  const socket = new EventEmitter() as Socket;
  const onDead = vi.fn<() => void>();
  let held = 0;
  const stop = watchLiveness(socket, onDead, () => Date.now() + held);
  return { socket, onDead, stop, hold: (ms: number) => (held += ms) };
}

test("a silent link is given up 8.5 s after its last byte, once", () => {
  for (const phase of [100, 2_400, 8_400]) {
    const { socket, onDead, stop } = watched();
    vi.advanceTimersByTime(phase);
    socket.emit("data");
    vi.advanceTimersByTime(8_400);
    expect(onDead).not.toHaveBeenCalled();
    vi.advanceTimersByTime(200);
    expect(onDead).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(60_000);
    expect(onDead).toHaveBeenCalledOnce();
    stop();
  }
});

test("a byte every few seconds keeps it alive", () => {
  const { socket, onDead, stop } = watched();
  for (let round = 0; round < 20; round += 1) {
    vi.advanceTimersByTime(8_000);
    socket.emit("data");
  }
  expect(onDead).not.toHaveBeenCalled();
  stop();
  vi.advanceTimersByTime(60_000);
  expect(onDead).not.toHaveBeenCalled();
  expect(socket.listenerCount("data")).toBe(0);
});

test("a process that was stopped gives the link another chance, and one alone", () => {
  const { onDead, hold, stop } = watched();
  vi.advanceTimersByTime(4_000);
  hold(60_000);
  vi.advanceTimersByTime(4_600);
  expect(onDead).not.toHaveBeenCalled();
  vi.advanceTimersByTime(3_300);
  expect(onDead).not.toHaveBeenCalled();
  vi.advanceTimersByTime(300);
  expect(onDead).toHaveBeenCalledOnce();
  stop();
});
