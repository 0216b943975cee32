// What systemd gives and wants: the listening socket it holds for us (sd_listen_fds(3)) and our state (sd_notify(3)).

import { spawn } from "node:child_process";
import type { Logger } from "pino";

/** The first descriptor that systemd passes (SD_LISTEN_FDS_START). */
const firstFd = 3;

/**
 * The descriptor of the socket named `name` in the socket unit, or null when systemd holds none for us.
 * The variables are taken out of `env`, so that programs we start do not take them for theirs.
 */
export function takeListenFd(env: NodeJS.ProcessEnv, pid: number, name: string): number | null {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  delete env["LISTEN_PID"];
  delete env["LISTEN_FDS"];
  delete env["LISTEN_FDNAMES"];
  if (LISTEN_PID !== String(pid)) return null;
  const count = Number.parseInt(LISTEN_FDS ?? "", 10);
  if (!(count > 0)) return null;
  const index = LISTEN_FDNAMES?.split(":").indexOf(name) ?? -1;
  if (index >= 0 && index < count) return firstFd + index;
  return count === 1 ? firstFd : null;
}

/**
 * Within how many milliseconds systemd wants to hear that we are alive, again and again (`WatchdogSec=` of the unit), or
 * null when it does not watch us. The variables are taken out of `env`, as above.
 */
export function takeWatchdogMs(env: NodeJS.ProcessEnv, pid: number): number | null {
  const { WATCHDOG_USEC, WATCHDOG_PID } = env;
  delete env["WATCHDOG_USEC"];
  delete env["WATCHDOG_PID"];
  if (WATCHDOG_PID !== undefined && WATCHDOG_PID !== String(pid)) return null;
  const micros = Number(WATCHDOG_USEC);
  return micros > 0 ? micros / 1_000 : null;
}

/** Tells systemd how the daemon is; does nothing where systemd does not listen. */
export interface Notifier {
  ready(): void;
  stopping(): void;
  /** For the watchdog: from now on systemd waits anew. */
  alive(): void;
  /** The line that `systemctl --user status` shows. Sent only when it differs from the last one. */
  status(text: string): void;
}

/**
 * Tells systemd through the `systemd-notify` program (the unit needs `NotifyAccess=all` for it).
 * Does nothing where no manager listens.
 */
export function createNotifier(env: NodeJS.ProcessEnv, log: Logger): Notifier {
  let last = "";
  let tail = Promise.resolve();
  const send = (...args: string[]): void => {
    if (env["NOTIFY_SOCKET"] === undefined) return;
    tail = tail.then(() => run(args));
  };
  const run = (args: string[]): Promise<void> =>
    new Promise((resolve) => {
      const child = spawn("systemd-notify", args, { stdio: "ignore", env, timeout: 5_000 });
      child.on("error", (error) => {
        log.warn({ err: error }, "could not tell systemd our state with systemd-notify");
        resolve();
      });
      child.on("exit", () => resolve());
    });
  return {
    ready: () => send("--ready", `--status=${last}`),
    stopping: () => send("STOPPING=1"),
    alive: () => send("WATCHDOG=1"),
    status: (text) => {
      if (text === last) return;
      last = text;
      send(`--status=${text}`);
    },
  };
}
