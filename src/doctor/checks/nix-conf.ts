// Does Nix read the override in our nix.conf, and does the system's read nothing that we could write?

import { statSync } from "node:fs";
import path from "node:path";
import type { ConfigPaths } from "../../config/dirs.js";
import { confLines, findInclude, includeAdvice, maxIncludeDepth, readConf } from "../../daemon/nix-conf.js";
import { runTool } from "../../util/run-tool.js";
import type { Look } from "../check.js";
import { failure, ok, skipped, warning, type Finding } from "../finding.js";
import { whereOthersCouldChange } from "../root-only.js";

export function includeCheck(paths: ConfigPaths, env: NodeJS.ProcessEnv): Look {
  return async () => {
    const found = findInclude(paths, env);
    const advice = includeAdvice(found);
    if (advice !== null) return failure(advice.text, advice.remedy);
    const file = found.kind === "included" ? found.file : paths.nixConf;
    return ok(`${file} includes ${paths.overrideFile}, and no later line undoes it`);
  };
}

/** A file that the system's nix.conf takes in, and by which file. */
export interface Included {
  readonly file: string;
  readonly by: string;
}

/** The system's nix.conf and what it includes, as far as we can read it. */
export function systemConfFiles(env: NodeJS.ProcessEnv): {
  readonly main: string;
  readonly included: Included[];
} {
  const main = path.join(env["NIX_CONF_DIR"] ?? "/etc/nix", "nix.conf");
  const included: Included[] = [];
  const walk = (file: string, depth: number): void => {
    for (const { words } of confLines(readConf(file))) {
      const [name = "", second = ""] = words;
      if (name !== "include" && name !== "!include") continue;
      const target = path.resolve(path.dirname(file), second);
      included.push({ file: target, by: file });
      if (depth < maxIncludeDepth) walk(target, depth + 1);
    }
  };
  walk(main, 0);
  return { main, included };
}

export function systemConfCheck(env: NodeJS.ProcessEnv): Look {
  return async (signal): Promise<Finding | readonly Finding[]> => {
    const { main, included } = systemConfFiles(env);
    const dangers = included.flatMap(({ file, by }): Finding[] => {
      const open = whereOthersCouldChange(file);
      if (open === null) return [];
      return [
        failure(
          `DANGER: ${by} includes ${file}, and ${open} is not root's alone: who can write there is root`,
          `Take that line out of ${by} now, and restart the nix-daemon; the include belongs into your own nix.conf.`,
        ),
      ];
    });
    if (dangers.length > 0) return dangers;
    const open = whereOthersCouldChange(main);
    if (open !== null) {
      return failure(
        `DANGER: the nix-daemon reads ${main}, and ${open} is not root's alone: who can write there is root`,
        `\`sudo chown root: ${open}; sudo chmod go-w ${open}\``,
      );
    }
    const stale = await changedSinceStart([main, ...included.map(({ file }) => file)], env, signal);
    if (stale !== null) {
      return warning(
        `${stale} was changed after the nix-daemon had read it`,
        "`sudo systemctl restart nix-daemon`",
      );
    }
    return statSync(main, { throwIfNoEntry: false }) === undefined
      ? skipped(`there is no ${main}`)
      : ok("takes in no file that others than root can write");
  };
}

const systemctlMs = 2_000;

/** The file that is newer than the nix-daemon that runs, or null: a nix-daemon never reads again. */
async function changedSinceStart(
  files: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string | null> {
  const args = [
    "show",
    "nix-daemon.service",
    "--timestamp=unix",
    "--property=ActiveEnterTimestamp",
    "--value",
  ];
  const result = await runTool("systemctl", args, { env, ms: systemctlMs, signal }).catch(() => null);
  signal.throwIfAborted();
  const [, seconds] = /^@(\d+)$/.exec(result?.stdout.trim() ?? "") ?? [];
  // None runs, or it can not be told; the next one reads them all.
  if (seconds === undefined || !(await isActive(env, signal))) return null;
  const started = (Number(seconds) + 1) * 1000;
  const changed = files.find((file) => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > started);
  return changed ?? null;
}

async function isActive(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<boolean> {
  const args = ["is-active", "--quiet", "nix-daemon.service"];
  const result = await runTool("systemctl", args, { env, ms: systemctlMs, signal }).catch(() => null);
  signal.throwIfAborted();
  return result?.code === 0;
}
