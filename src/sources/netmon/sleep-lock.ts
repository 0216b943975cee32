// logind's delay lock, which makes suspend wait until we have let go. It is a file descriptor that dbus-next
// cannot receive, so a child `systemd-inhibit` holds it, and dies with us.

import { type ChildProcess, spawn } from "node:child_process";
import type { Logger } from "pino";

/** Milliseconds after which a child that does not end is killed outright. */
const killAfter = 1_000;

/** A lock being taken or held. */
export interface SleepLock {
  /** False once the helper has ended, for whatever reason. */
  isHeld(): boolean;
  /** Lets the machine sleep. Resolves when the helper is gone. Idempotent; never rejects. */
  release(): Promise<void>;
}

/** Takes the lock in the background. Where that fails the machine sleeps without waiting; a debug line says so. */
export function takeSleepLock(busAddress: string, log: Logger): SleepLock {
  // The lock lasts as long as the command runs, and the command as long as our end of its stdin is open: so
  // it goes even when we are killed. /bin/sh is the one program whose place is the same everywhere.
  const child = spawn(
    "systemd-inhibit",
    [
      "--what=sleep",
      "--mode=delay",
      "--who=nix-tether",
      "--why=Leaving the remote Nix store before the network goes",
      "/bin/sh",
      "-c",
      "read -r line",
    ],
    {
      stdio: ["pipe", "ignore", "pipe"],
      env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: busAddress },
    },
  );
  let held = true;
  let released = false;
  let complaint = "";

  const gone = new Promise<void>((resolve) => {
    const onGone = (reason: string): void => {
      if (!held) return;
      held = false;
      child.stdin.destroy();
      if (!released)
        log.debug({ reason: reason.trim() }, "no delay lock: the machine sleeps without waiting");
      resolve();
    };
    child.on("error", (error) => onGone(error.message));
    child.on("close", (code, signal) => onGone(complaint || `systemd-inhibit ended: ${signal ?? code}`));
  });
  child.stdin.on("error", () => undefined);
  child.stderr.on("error", () => undefined);
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(0, 500);
  });

  return {
    isHeld: () => held,
    async release() {
      if (!released) {
        released = true;
        endChild(child);
      }
      await gone;
    },
  };
}

function endChild(child: ChildProcess): void {
  child.stdin?.destroy();
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), killAfter).unref();
  child.once("exit", () => clearTimeout(timer));
}
