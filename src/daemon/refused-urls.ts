// Asks the Nix on this machine which URLs it would refuse to use for this user, and say so at every command.

import os from "node:os";
import type { Logger } from "pino";
import { messageOf } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";

/** How long the question may take, in milliseconds. */
const deadlineMs = 5_000;

/** It is in no store. Nix tells the nix-daemon of its substituters with the first question, and this is a cheap one. */
const someName = `${"0".repeat(32)}-nix-tether`;

/**
 * Those of `urls` that the nix-daemon ignores as untrusted: what it says itself counts, for its settings are those it was
 * started with, and how it compares depends on its version. None for root and where Nix needs no nix-daemon; null where it
 * can not be found out.
 */
export async function askRefusedUrls(
  urls: readonly string[],
  env: NodeJS.ProcessEnv,
  log: Logger,
): Promise<ReadonlySet<string> | null> {
  if (os.userInfo().uid === 0 || urls.length === 0) return new Set();
  const path = `${env["NIX_STORE_DIR"] ?? "/nix/store"}/${someName}`;
  const args = ["--option", "substituters", urls.join(" "), "--check-validity", "--print-invalid", path];
  try {
    const result = await runTool("nix-store", args, { env, ms: deadlineMs });
    if (result === null) throw new Error("there is no nix-store");
    if (result.code !== 0) throw new Error(result.stderr.trim());
    const ignored = new Set(ignoredUrls(result.stderr));
    return new Set(urls.filter((url) => ignored.has(url)));
  } catch (error) {
    log.debug({ reason: messageOf(error) }, "could not ask nix which caches it takes from this user");
    return null;
  }
}

/** Pure: the URLs in Nix's complaints. */
export function ignoredUrls(said: string): string[] {
  return [...said.matchAll(/ignoring untrusted substituter '([^'\s]+)'/g)].flatMap((match) => match[1] ?? []);
}
