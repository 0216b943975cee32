// Has Nix compress and sign the paths of a push into a folder of this machine, a batch at a time.

import { mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { nixCopy } from "../nix/nix-copy.js";
import type { LocalInfos } from "../nix/path-infos.js";
import { makeStage } from "../nix/stage.js";
import { TetherError, messageOf } from "../util/errors.js";
import type { Batch } from "./push-plan.js";
import type { StaticTarget } from "./target.js";

export interface Staging {
  readonly folder: string;
  /** Rejects with `stage-failed`, `nix-missing`, or the signal's reason. */
  add(batch: Batch, signal: AbortSignal): Promise<void>;
  remove(): Promise<void>;
}

/** `missing` is all that will be added. It needs room for a batch or two: see push-plan.ts. */
export async function openStaging(
  { signingKey, compression }: Pick<StaticTarget, "signingKey" | "compression">,
  missing: LocalInfos,
  env: NodeJS.ProcessEnv,
): Promise<Staging> {
  // /tmp is in memory on many systems.
  const base = env["TMPDIR"] || "/var/tmp";
  const own = await mkdtemp(path.join(base, "nix-tether-push-")).catch((error: unknown) => {
    throw stageError(`no folder can be made in ${base}: ${messageOf(error)}`, error);
  });
  const folder = path.join(own, "cache");
  const stage = await makeStage({ folder, keyFile: signingKey, compression, missing });
  return {
    folder,
    add: async ({ paths, derivations }, signal) => {
      const options = { to: stage.to, paths, derivations, recursive: false, env, signal };
      const { ok, stderr } = await nixCopy(options);
      if (!ok) throw stageError(lastWords(stderr));
    },
    remove: () => rm(own, { recursive: true, force: true }),
  };
}

function stageError(why: string, cause?: unknown): TetherError {
  return new TetherError("stage-failed", `the paths can not be made ready to be sent: ${why}`, {
    cause,
    remedy: /No space left|ENOSPC/.test(why)
      ? "Make room there, or set TMPDIR to a folder with more of it."
      : undefined,
  });
}

function lastWords(stderr: string): string {
  const lines = stripVTControlCharacters(stderr)
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(copying |warning: )/.test(line));
  return lines.join(" ").slice(-1_000) || "nix copy said nothing";
}
