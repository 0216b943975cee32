// What the Nix on this machine makes of our user: whether it takes keys from them, so that they may stand in the override.

import { accessSync, constants } from "node:fs";
import os from "node:os";
import type { Logger } from "pino";
import { messageOf } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";
import { askNixSettings, type NixSettings } from "./nix-settings.js";

/** How long the question for our groups may take, in milliseconds: they may come over the network. */
const deadlineMs = 5_000;

/**
 * Whose word counts for Nix: root's and a trusted user's do, and where no nix-daemon is in between (`own-store`)
 * anybody's.
 */
export type Standing = "root" | "own-store" | "trusted" | "untrusted";

/**
 * Whether Nix takes restricted settings from this user. False where that can not be found out: then keys are left to the
 * administrator.
 */
export async function isTrustedUser(env: NodeJS.ProcessEnv, log: Logger): Promise<boolean> {
  if (os.userInfo().uid === 0) return true;
  try {
    return (await standingOf(await askNixSettings(env), env)) !== "untrusted";
  } catch (error) {
    log.debug(
      { reason: messageOf(error) },
      "could not ask nix for its trusted users; leaving keys to the administrator",
    );
    return false;
  }
}

/** A user is trusted who is named in `trusted-users`: by name, by a group (`@wheel`) or by `*`. */
export async function standingOf(settings: NixSettings, env: NodeJS.ProcessEnv): Promise<Standing> {
  const user = os.userInfo();
  if (user.uid === 0) return "root";
  if (opensStoreItself(settings.text("store"), env["NIX_STATE_DIR"] ?? "/nix/var/nix")) return "own-store";
  const groups = await runTool("id", ["-Gn"], { env, ms: deadlineMs });
  const names = groups?.stdout.trim().split(/\s+/) ?? [];
  return matchesTrusted(settings.list("trusted-users"), user.username, names) ? "trusted" : "untrusted";
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
