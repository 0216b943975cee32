// `nix-tether push`: fills a static cache with some paths and all that they need.

import { storePathsFor } from "../nix/installables.js";
import { pushPaths, type PushReport } from "../static/push.js";
import type { StaticTarget } from "../static/target.js";
import { untilInterrupted } from "./alone.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { findTarget, withLocate, type TargetArguments } from "./open-target.js";
import { pushProgress } from "./push-progress.js";
import { recheck } from "./recheck.js";
import { waitOf } from "./target-options.js";
import { bytes, counted, duration } from "./words.js";

export interface PushArguments extends TargetArguments {
  readonly installables: readonly string[];
  readonly wait?: string | undefined;
  readonly json: boolean;
  readonly plain: boolean;
}

/** Resolves to the exit code. */
export async function push(context: CliContext, args: PushArguments): Promise<number> {
  const { env, stdout, stderr } = context;
  const target = await findTarget(context, args);
  const waitMs = waitOf(args.wait);
  return untilInterrupted(context, async (signal) => {
    const paths = await storePathsFor(args.installables, { env, cwd: process.cwd(), signal });
    const progress = pushProgress(context, args);
    const { show: onProgress, notice: onNotice } = progress;
    try {
      const report = await withLocate(env, (deps) =>
        pushPaths({ target, paths, signal, onProgress, onNotice }, { ...deps, waitMs }),
      );
      progress.end();
      // The same folder may be one of this machine's caches, by HTTP.
      if (report.paths > 0) await recheck(env, null);
      stdout.write(
        args.json ? `${JSON.stringify({ version: 1, target: target.name, ...report })}\n` : pushText(report),
      );
      for (const line of unsignedText(report, target)) stderr.write(`nix-tether: ${line}\n`);
      return exitCode.ok;
    } finally {
      progress.end();
    }
  });
}

/** What has come of it, as a line. */
export function pushText({ label, paths, alreadyThere, narBytes, ms, ...report }: PushReport): string {
  const there = `${counted(alreadyThere, "path")} ${alreadyThere === 1 ? "was" : "were"} there already`;
  if (paths === 0) return `nothing to push to ${label}: ${there}\n`;
  const size = `${bytes(narBytes)}, sent as ${bytes(report.bytes)}`;
  const also = alreadyThere === 0 ? "" : `; ${there}`;
  return `pushed ${counted(paths, "path")} to ${label} (${size}) in ${duration(Math.max(ms, 1_000))}${also}\n`;
}

function unsignedText({ unsigned }: PushReport, { name, place }: StaticTarget): string[] {
  if (unsigned === 0) return [];
  const have = unsigned === 1 ? "1 path has" : `${unsigned} paths have`;
  const table = name.includes("/") ? "a [static.NAME] with this host and path" : `[static.${name}]`;
  return [
    `${have} no signature, and Nix will not take what is not signed; set signing-key in ${table} and push again` +
      (place.kind === "local" ? " (the NARs stay)" : " (the NARs are not sent twice)"),
  ];
}
