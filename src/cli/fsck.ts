// `nix-tether fsck`: finds what is wrong in a static cache, and removes that if told to.

import { askNixSettings } from "../daemon/nix-settings.js";
import { readSigningKey } from "../nix/signing-key.js";
import { fsckCache } from "../static/fsck.js";
import { TetherError, messageOf } from "../util/errors.js";
import { aloneIn, untilInterrupted } from "./alone.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { fsckJson, fsckText, isLeft } from "./fsck-text.js";
import { findTarget, withFolder, type TargetArguments } from "./open-target.js";
import { waitOf } from "./target-options.js";
import { createWorkProgress } from "./work-progress.js";

export interface FsckArguments extends TargetArguments {
  readonly repair: boolean;
  readonly full: boolean;
  readonly publicKeys: readonly string[];
  readonly wait?: string | undefined;
  readonly json: boolean;
}

/** Resolves to the exit code: a failure where something is wrong that has not been repaired. */
export async function fsck(context: CliContext, args: FsckArguments): Promise<number> {
  const { stdout, env, now } = context;
  const target = await findTarget(context, args);
  const waitMs = waitOf(args.wait);
  const progress = createWorkProgress(context);
  return untilInterrupted(context, async (signal) => {
    const publicKeys = await keysFor(context, args, target.signingKey, signal);
    return withFolder(context, target, signal, async (folder) => {
      const enter = args.repair ? aloneIn(folder, context, waitMs) : null;
      const options = { env, full: args.full, publicKeys, enter, signal, now, onProgress: progress.show };
      const checked = await fsckCache(folder, options);
      progress.end();
      const lines = args.json ? [JSON.stringify(fsckJson(checked))] : fsckText(checked, folder.label);
      stdout.write(`${lines.join("\n")}\n`);
      return checked.problems.some((problem) => isLeft(checked, problem)) ? exitCode.failure : exitCode.ok;
    }).finally(() => progress.end());
  });
}

/** Null where signatures are not to be looked at. */
async function keysFor(
  { env, stderr }: CliContext,
  { full, publicKeys }: FsckArguments,
  signingKey: string | null,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  for (const key of publicKeys) {
    if (/^[^\s:]+:[A-Za-z0-9+/]{43}=$/.test(key)) continue;
    throw new TetherError("usage", `${JSON.stringify(key)} is no public key`, {
      remedy: "Give it as NAME:BASE64, which is what `nix key convert-secret-to-public` prints.",
    });
  }
  if (publicKeys.length > 0) return publicKeys;
  if (!full) return null;
  // Who pushes here need not fetch from here.
  const own = signingKey === null ? [] : [(await readSigningKey(signingKey)).publicKey];
  try {
    return [...own, ...(await askNixSettings(env, signal)).list("trusted-public-keys")];
  } catch (error) {
    signal.throwIfAborted();
    if (own.length > 0) return own;
    stderr.write(`nix-tether: signatures are not looked at, for want of --public-key: ${messageOf(error)}\n`);
    return null;
  }
}
