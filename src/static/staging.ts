// Has Nix compress and sign the paths of a push into a folder of this machine, a batch at a time.

import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { nixCopy } from "../nix/nix-copy.js";
import type { LocalInfos } from "../nix/path-infos.js";
import { makeStage } from "../nix/stage.js";
import { parseStorePath } from "../protocol/store-path.js";
import { delay } from "../util/abort.js";
import { TetherError, messageOf } from "../util/errors.js";
import { narinfoName } from "./cache-names.js";
import { references, type Batch } from "./push-plan.js";
import type { StaticTarget } from "./target.js";

export interface Staging {
  readonly folder: string;
  /**
   * Tells of each path as soon as it can be sent, the first long before the last. Rejects with `stage-failed`,
   * `nix-missing`, or the signal's reason.
   */
  add(batch: Batch, options: AddOptions): Promise<void>;
  remove(): Promise<void>;
}

export interface AddOptions {
  readonly signal: AbortSignal;
  /** Called once for each, behind those that it refers to. */
  readonly onStaged: (path: string) => void;
}

/** The process that made it follows, by its number. */
const prefix = "nix-tether-push-";

/** What is younger may be of a process that is not seen from here, as in a container. In milliseconds. */
const staleMs = 24 * 60 * 60_000;

/** How often it is looked what is ready, in milliseconds. */
const lookMs = 50;

/** `missing` is all that will be added. It needs room for a batch or two: see push-plan.ts. */
export async function openStaging(
  { signingKey, compression }: Pick<StaticTarget, "signingKey" | "compression">,
  missing: LocalInfos,
  env: NodeJS.ProcessEnv,
): Promise<Staging> {
  // /tmp is in memory on many systems.
  const base = env["TMPDIR"] || "/var/tmp";
  await removeStale(base);
  const own = await mkdtemp(path.join(base, `${prefix}${process.pid}-`)).catch((error: unknown) => {
    throw stageError(`no folder can be made in ${base}: ${messageOf(error)}`, error);
  });
  const folder = path.join(own, "cache");
  const stage = await makeStage({ folder, keyFile: signingKey, compression, missing });
  return {
    folder,
    add: async ({ paths, derivations }, { signal, onStaged }) => {
      const told = new Set<string>();
      const waiting = new Set(paths);
      const tell = (names: ReadonlySet<string> | null): void => {
        for (const one of waiting) {
          // A name may be missed in a folder that grows while it is read.
          const isReady = references(one, missing).every((other) => told.has(other) || !waiting.has(other));
          if (names !== null && !(isReady && names.has(narinfoNameOf(one)))) continue;
          told.add(one);
          waiting.delete(one);
          onStaged(one);
        }
      };
      const copying = nixCopy({ to: stage.to, paths, derivations, recursive: false, env, signal });
      const ended = copying.then(
        () => true,
        () => true,
      );
      // Nix gives a narinfo its name when it and its NAR are whole.
      while (!(await Promise.race([ended, delay(lookMs).then(() => false)])))
        tell(new Set(await readdir(folder)));
      const { ok, stderr } = await copying;
      if (!ok) throw stageError(lastWords(stderr));
      tell(null);
    },
    remove: () => rm(own, { recursive: true, force: true }),
  };
}

/** What pushes that were killed have left, as far as it is this user's; what can not be removed stays. */
async function removeStale(base: string): Promise<void> {
  for (const name of await readdir(base).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    const folder = path.join(base, name);
    const facts = await lstat(folder).catch(() => null);
    const isOwn = facts?.isDirectory() === true && facts.uid === process.getuid?.();
    const pid = Number(/^\d+(?=-)/.exec(name.slice(prefix.length))?.[0]);
    if (!isOwn || Date.now() - facts.mtimeMs < staleMs || (pid > 0 && isRunning(pid))) continue;
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

function narinfoNameOf(storePath: string): string {
  return narinfoName(parseStorePath(storePath)?.hashPart ?? "");
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
