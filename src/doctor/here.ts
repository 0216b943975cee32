// What can be found out about the Nix on this machine: its settings as we have them and as root has made them, the
// nix-daemon that runs, and whose word counts for it.

import { connect } from "node:net";
import { once as onceEvent } from "node:events";
import path from "node:path";
import { opensStoreItself, standingOf, type Standing } from "../daemon/local-nix.js";
import { askNixSettings, type NixSettings } from "../daemon/nix-settings.js";
import type { DaemonInfo } from "../link/link.js";
import { handshakeDaemon } from "../upstream/handshake-daemon.js";
import { TetherError, messageOf } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";
import { once, type Once } from "./once.js";

export interface Here {
  readonly env: NodeJS.ProcessEnv;
  /** As our own commands have them. Rejects as `askNixSettings`. */
  readonly own: Once<NixSettings>;
  /** Without what our own files say, which counts for nothing with a nix-daemon that does not trust us. */
  readonly system: Once<NixSettings>;
  /** What `nix-store --version` says, e.g. `2.34.8`, or what Lix says. */
  readonly version: Once<string>;
  /** The nix-daemon that runs; null where Nix opens the store itself. Rejects with code `nix-daemon-silent`. */
  readonly daemon: Once<DaemonInfo | null>;
  readonly standing: Once<Standing>;
}

const toolMs = 5_000;
const handshakeMs = 5_000;

export function createHere(env: NodeJS.ProcessEnv): Here {
  const own = once((signal) => askNixSettings(env, signal));
  const system = once((signal) => {
    const { NIX_CONFIG: _, ...rest } = env;
    return askNixSettings({ ...rest, NIX_USER_CONF_FILES: "" }, signal);
  });
  const daemon = once(async (signal) => {
    const store = (await own(signal)).text("store");
    if (opensStoreItself(store, stateDir(env))) return null;
    const [, named] = /^unix:\/\/(\/[^?]*)/.exec(store) ?? [];
    const usual = path.join(stateDir(env), "daemon-socket/socket");
    return askDaemonAt(named ?? env["NIX_DAEMON_SOCKET_PATH"] ?? usual, signal);
  });
  return {
    env,
    own,
    system,
    daemon,
    version: once(async (signal) => {
      const result = await runTool("nix-store", ["--version"], { env, ms: toolMs, signal });
      if (result === null || result.code !== 0) {
        throw new TetherError("nix-missing", "there is no Nix in PATH", {
          remedy: "Install Nix, or add the folder of its programs to PATH.",
        });
      }
      const [first = ""] = result.stdout.split("\n");
      return /^nix-store \(Nix\) (\S+)/.exec(first)?.[1] ?? first.trim();
    }),
    standing: once(async (signal) => {
      const guess = await standingOf(await system(signal), env);
      if (guess === "root" || guess === "own-store") return guess;
      // Newer ones say it themselves, and theirs are the settings that they were started with.
      const trusted = (await daemon(signal).catch(() => null))?.trusted ?? null;
      return trusted === null ? guess : trusted ? "trusted" : "untrusted";
    }),
  };
}

function stateDir(env: NodeJS.ProcessEnv): string {
  return env["NIX_STATE_DIR"] ?? "/nix/var/nix";
}

async function askDaemonAt(socketPath: string, signal: AbortSignal): Promise<DaemonInfo> {
  const socket = connect(socketPath);
  socket.on("error", () => undefined);
  try {
    await onceEvent(socket, "connect", { signal });
    return await handshakeDaemon(socket, handshakeMs);
  } catch (error) {
    signal.throwIfAborted();
    const denied = (error as NodeJS.ErrnoException).code === "EACCES";
    throw new TetherError(
      "nix-daemon-silent",
      `the nix-daemon does not answer at ${socketPath}: ${messageOf(error)}`,
      {
        remedy: denied
          ? "Have root add you to the group that may use it (on Debian: `sudo usermod -aG nix-users $USER`), and log in again."
          : "`sudo systemctl restart nix-daemon.socket nix-daemon.service`",
        cause: error,
      },
    );
  } finally {
    socket.destroy();
  }
}
