// What the Nix on this machine says of us: whether it takes keys from our user, so that they may stand in the override.

import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import os from "node:os";
import { promisify } from "node:util";
import type { Logger } from "pino";
import { messageOf } from "../util/errors.js";

const run = promisify(execFile);

/** `nix config show` is the name since 2.20; Nix 2.8 knows `nix show-config` only. */
const showConfig = [["config", "show"], ["show-config"]] as const;

/** How long one question to the `nix` program may take, in milliseconds. */
const deadlineMs = 5_000;

/**
 * Whether Nix takes restricted settings from this user: there is no nix-daemon in between, or the user is root or named
 * in `trusted-users` by name, by a group (`@wheel`) or by `*`. False where that can not be found out: then keys are left
 * to the administrator.
 */
export async function isTrustedUser(env: NodeJS.ProcessEnv, log: Logger): Promise<boolean> {
  const user = os.userInfo();
  if (user.uid === 0) return true;
  try {
    const config = await nixConfig(env);
    if (opensStoreItself(storeOf(config), env["NIX_STATE_DIR"] ?? "/nix/var/nix")) return true;
    const groups = await run("id", ["-Gn"], { env, timeout: deadlineMs });
    return matchesTrusted(trustedUsers(config), user.username, groups.stdout.trim().split(/\s+/));
  } catch (error) {
    log.debug(
      { reason: messageOf(error) },
      "could not ask nix for its trusted users; leaving keys to the administrator",
    );
    return false;
  }
}

/**
 * Whether Nix opens this store (`store` as in its settings) by itself, as where it is installed for a single user. What
 * `auto` means is decided as Nix does: who may write to its state folder needs no nix-daemon.
 */
export function opensStoreItself(store: string, stateDir: string): boolean {
  if (store !== "auto" && store !== "") return /^(local$|local\?|\/)/.test(store);
  try {
    accessSync(stateDir, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Pure: whether `trusted-users` covers this user. */
export function matchesTrusted(trusted: readonly string[], user: string, groups: readonly string[]): boolean {
  return trusted.some(
    (entry) => entry === "*" || entry === user || (entry.startsWith("@") && groups.includes(entry.slice(1))),
  );
}

/** Pure: the value of `trusted-users` in the output of `nix config show --json`. */
export function trustedUsers(json: string): string[] {
  const value = settingIn(json, "trusted-users");
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

/** Pure: the value of `store` there. */
export function storeOf(json: string): string {
  const value = settingIn(json, "store");
  return typeof value === "string" ? value : "auto";
}

function settingIn(json: string, name: string): unknown {
  const parsed: unknown = JSON.parse(json);
  const setting = isObject(parsed) ? parsed[name] : undefined;
  return isObject(setting) ? setting["value"] : undefined;
}

async function nixConfig(env: NodeJS.ProcessEnv): Promise<string> {
  let failure: unknown;
  for (const words of showConfig) {
    const args = ["--extra-experimental-features", "nix-command", ...words, "--json"];
    try {
      return (await run("nix", args, { env, timeout: deadlineMs, maxBuffer: 4 << 20 })).stdout;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
