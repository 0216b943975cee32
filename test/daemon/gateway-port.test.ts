import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { takeGatewayPort } from "../../src/daemon/gateway-port.js";
import { createWarnings } from "../../src/daemon/warnings.js";
import { TetherError } from "../../src/util/errors.js";
import { silentLog } from "../support/silent-log.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const taken = new TetherError("gateway-port-taken", "port 1 is in use by nc (process 7)");
const held = new TetherError("gateway-port-held", "port 1 is in use by systemd (process 7)");

/** A gateway whose tries to listen end like this, the last one again and again. */
function gatewayThat(...ends: (TetherError | null)[]) {
  let tries = 0;
  const listen = async (): Promise<void> => {
    const end = ends[Math.min(tries, ends.length - 1)] ?? null;
    tries += 1;
    if (end !== null) throw end;
  };
  const told: (string | null)[] = [];
  const onTried = (error: TetherError | null): void => void told.push(error?.code ?? null);
  const warnings = createWarnings({ log: silentLog, now: () => 0 });
  const warned = (): string[] => warnings.list().map(({ code }) => code);
  return {
    told,
    warned,
    tries: () => tries,
    deps: { gateway: { listen }, on: { port: 1 }, warnings, onTried },
  };
}

it("takes a free port once", async () => {
  const { told, deps } = gatewayThat(null);
  await takeGatewayPort(deps);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(told).toEqual([null]);
});

it("goes on trying while somebody else has it, whoever that is", async () => {
  const { told, warned, deps } = gatewayThat(taken, held, taken, null);
  await takeGatewayPort(deps);
  expect(told).toEqual([taken.code]);
  expect(warned()).toEqual([taken.code]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(warned()).toEqual([held.code]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(told).toEqual([taken.code, held.code, taken.code]);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(told.slice(3)).toEqual([null]);
  expect(warned()).toEqual([]);
});

it("gives up at the start where systemd holds it for a daemon of its own", async () => {
  const { tries, deps } = gatewayThat(held);
  await expect(takeGatewayPort(deps)).rejects.toBe(held);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(tries()).toBe(1);
});

it("tries no more once it is told to stop", async () => {
  const { told, tries, deps } = gatewayThat(taken);
  const stop = await takeGatewayPort(deps);
  stop();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(tries()).toBe(1);
  expect(told).toEqual([taken.code]);
});
