// Where everything lives: the XDG folders of this user and the fixed names inside them.

import { lstatSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { TetherError } from "../util/errors.js";

/** Files under `$XDG_CONFIG_HOME`. */
export interface ConfigPaths {
  /** Our `config.toml`. */
  readonly configFile: string;
  /** What the daemon writes and the user's nix.conf includes. */
  readonly overrideFile: string;
  /** The user's own nix.conf. */
  readonly nixConf: string;
}

/** Every place that the daemon and its clients use. */
export interface Dirs extends ConfigPaths {
  /** Holds the sockets; made by whoever listens first, with mode 0700. */
  readonly runtimeDir: string;
  readonly stateDir: string;
  /** Where paths that wait for their upload are written down; the daemon makes it, with mode 0700. */
  readonly spoolDir: string;
  /** Which URL of each cache is in use. */
  readonly generationFile: string;
  /** Which caches the user has paused. */
  readonly pausedFile: string;
  /** Which machines have instructions for AES. */
  readonly processorsFile: string;
  /** Touched by nix-tether-away@.service at each "not here" that it answers. */
  readonly awayMark: string;
  readonly controlSocket: string;
  /** The local end of a cache's forward. */
  cacheSocket(name: string): string;
}

/** The files under `$XDG_CONFIG_HOME`; needs no runtime folder and never throws. */
export function configPaths(env: NodeJS.ProcessEnv): ConfigPaths {
  const config = xdgConfigHome(env);
  return {
    configFile: path.join(config, "nix-tether", "config.toml"),
    overrideFile: path.join(config, "nix", "nix-tether.conf"),
    nixConf: path.join(config, "nix", "nix.conf"),
  };
}

/**
 * All places for this user.
 * @throws TetherError `no-runtime-dir` where neither the environment nor the system names a runtime folder.
 */
export function resolveDirs(env: NodeJS.ProcessEnv, options: { runUser?: string } = {}): Dirs {
  const runtimeDir = path.join(xdgRuntimeDir(env, options.runUser ?? "/run/user"), "nix-tether");
  const stateDir = stateFolder(env);
  return {
    ...configPaths(env),
    runtimeDir,
    stateDir,
    spoolDir: path.join(stateDir, "spool"),
    generationFile: path.join(stateDir, "generations.json"),
    pausedFile: path.join(stateDir, "paused.json"),
    processorsFile: processorsFile(env),
    awayMark: path.join(stateDir, "denied-while-away"),
    controlSocket: path.join(runtimeDir, "control.sock"),
    cacheSocket: (name) => path.join(runtimeDir, `${name}.sock`),
  };
}

/** What is kept over restarts; needs no runtime folder and never throws. */
export function stateFolder(env: NodeJS.ProcessEnv): string {
  const stateHome = absolute(env["XDG_STATE_HOME"]) ?? path.join(home(env), ".local/state");
  return path.join(stateHome, "nix-tether");
}

/** See `Dirs`; needs no runtime folder and never throws. */
export function processorsFile(env: NodeJS.ProcessEnv): string {
  return path.join(stateFolder(env), "processors.json");
}

/** `$XDG_CONFIG_HOME` or its default. */
export function xdgConfigHome(env: NodeJS.ProcessEnv): string {
  return absolute(env["XDG_CONFIG_HOME"]) ?? path.join(home(env), ".config");
}

/** `$XDG_CONFIG_DIRS` or its default: where Nix looks for a nix.conf after the user's own. */
export function xdgConfigDirs(env: NodeJS.ProcessEnv): string[] {
  const dirs = (env["XDG_CONFIG_DIRS"] ?? "").split(":").filter((dir) => path.isAbsolute(dir));
  return dirs.length > 0 ? dirs : ["/etc/xdg"];
}

function home(env: NodeJS.ProcessEnv): string {
  return absolute(env["HOME"]) ?? os.userInfo().homedir;
}

/** The XDG base directory specification: an empty or relative value counts as not set. */
function absolute(value: string | undefined): string | undefined {
  return value !== undefined && path.isAbsolute(value) ? value : undefined;
}

function xdgRuntimeDir(env: NodeJS.ProcessEnv, runUser: string): string {
  const named = absolute(env["XDG_RUNTIME_DIR"]);
  if (named !== undefined) return named;
  const { uid } = os.userInfo();
  const usual = path.join(runUser, String(uid));
  const stat = lstatSync(usual, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true && stat.uid === uid) return usual;
  throw new TetherError(
    "no-runtime-dir",
    `XDG_RUNTIME_DIR is not set and ${usual} is not a folder of yours`,
    {
      remedy:
        "Log in through your system's login (ssh, console or desktop), or set XDG_RUNTIME_DIR to a folder that only you can enter.",
    },
  );
}
