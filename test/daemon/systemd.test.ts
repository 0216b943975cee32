import { describe, expect, it } from "vitest";
import { takeListenFd, takeWatchdogMs } from "../../src/daemon/systemd.js";

describe("takeListenFd", () => {
  const env = (fields: Record<string, string>): NodeJS.ProcessEnv => ({ HOME: "/h", ...fields });

  it("finds the descriptor by its name in the socket unit", () => {
    const vars = env({ LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "metrics:gateway" });
    expect(takeListenFd(vars, 42, "gateway")).toBe(4);
  });

  it("takes a single descriptor whatever its name, and none of several strangers", () => {
    expect(takeListenFd(env({ LISTEN_PID: "42", LISTEN_FDS: "1" }), 42, "gateway")).toBe(3);
    const strangers = env({ LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b" });
    expect(takeListenFd(strangers, 42, "gateway")).toBeNull();
  });

  it("leaves alone what was meant for another process, and hides it from our children", () => {
    const vars = env({ LISTEN_PID: "41", LISTEN_FDS: "1", LISTEN_FDNAMES: "gateway" });
    expect(takeListenFd(vars, 42, "gateway")).toBeNull();
    expect(vars).toEqual({ HOME: "/h" });
  });

  it("finds none without a manager, or when the count is no number", () => {
    expect(takeListenFd(env({}), 42, "gateway")).toBeNull();
    expect(takeListenFd(env({ LISTEN_PID: "42", LISTEN_FDS: "many" }), 42, "gateway")).toBeNull();
  });
});

describe("takeWatchdogMs", () => {
  it("reads systemd's microseconds and hides them from our children", () => {
    const env: NodeJS.ProcessEnv = { HOME: "/h", WATCHDOG_USEC: "120000000", WATCHDOG_PID: "42" };
    expect(takeWatchdogMs(env, 42)).toBe(120_000);
    expect(env).toEqual({ HOME: "/h" });
  });

  it("is not meant for another process, and not there without a watchdog", () => {
    expect(takeWatchdogMs({ WATCHDOG_USEC: "120000000", WATCHDOG_PID: "41" }, 42)).toBeNull();
    expect(takeWatchdogMs({}, 42)).toBeNull();
    expect(takeWatchdogMs({ WATCHDOG_USEC: "soon" }, 42)).toBeNull();
  });
});
