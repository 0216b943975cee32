// `nix-tether gc`: removes from a static cache what is old and needed by nothing younger.

import { collect } from "../static/collect.js";
import { parsePin } from "../static/keep.js";
import type { StaticTarget } from "../static/target.js";
import { TetherError } from "../util/errors.js";
import { aloneIn, untilInterrupted } from "./alone.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { gcJson, gcText, gcWarnings } from "./gc-text.js";
import { findTarget, withFolder, type TargetArguments } from "./open-target.js";
import { durationOf, sizeOf, waitOf } from "./target-options.js";
import { createWorkProgress } from "./work-progress.js";

export interface GcArguments extends TargetArguments {
  readonly olderThan?: string | undefined;
  readonly maxSize?: string | undefined;
  readonly keep: readonly string[];
  readonly wait?: string | undefined;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Resolves to the exit code: a failure also where the cache is in a state that somebody should look at. */
export async function gc(context: CliContext, args: GcArguments): Promise<number> {
  const { stdout, stderr, now } = context;
  const target = await findTarget(context, args);
  const rules = rulesOf(args, target);
  const progress = createWorkProgress(context);
  return untilInterrupted(context, (signal) =>
    withFolder(context, target, signal, async (folder) => {
      const enter = args.dryRun ? null : aloneIn(folder, context, rules.waitMs);
      const options = { ...rules, enter, signal, now, onProgress: progress.show };
      const collected = await collect(folder, options);
      progress.end();
      const { notes, failures } = gcWarnings(collected, rules.maxBytes);
      const about = { label: folder.label, dryRun: args.dryRun, now: now() };
      const lines = args.json ? [JSON.stringify(gcJson(collected, about))] : gcText(collected, about);
      stdout.write(`${lines.join("\n")}\n`);
      for (const line of [...notes, ...failures]) stderr.write(`nix-tether: ${line}\n`);
      return failures.length === 0 ? exitCode.ok : exitCode.failure;
    }).finally(() => progress.end()),
  );
}

interface Rules {
  readonly olderThanMs: number | null;
  readonly maxBytes: number | null;
  readonly pins: ReturnType<typeof parsePin>[];
  readonly waitMs: number;
}

function rulesOf(args: GcArguments, { collection, name }: StaticTarget): Rules {
  const rules = {
    olderThanMs: durationOf("older-than", args.olderThan) ?? collection.olderThanMs,
    maxBytes: sizeOf("max-size", args.maxSize) ?? collection.maxBytes,
    pins: [...collection.keep, ...args.keep].map(parsePin),
    waitMs: waitOf(args.wait),
  };
  if (rules.olderThanMs !== null || rules.maxBytes !== null) return rules;
  throw new TetherError("usage", `nothing says what is to go from ${name}`, {
    remedy: "Give --older-than 14d or --max-size 500G, or both; or set them in the cache's [static.NAME].",
  });
}
