// One run of a farm, from taking its lock to writing its report: the order of things.

import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { parseDuration } from "../config/duration.js";
import type { FarmConfig } from "../config/farm-schema.js";
import { createNixTools } from "../nix/nix-tools.js";
import { readSigningKey, type SigningKey } from "../nix/signing-key.js";
import { replaceFile } from "../util/durable-file.js";
import { TetherError, messageOf } from "../util/errors.js";
import { buildAttribute, notBegun } from "./build.js";
import { prepareCheckout, type Checkout } from "./checkout.js";
import { createGit, defaultAuthor, type Git } from "./git.js";
import { createNix } from "./nix.js";
import { withoutPasswords } from "./passwords.js";
import type { FarmPlaces } from "./places.js";
import { keepsFromGit, notPushed, pushGit, pushToAll, signPaths } from "./publish.js";
import { resultOf, type FarmReport } from "./report.js";
import { createRoots } from "./roots.js";
import { takeRunLock } from "./run-lock.js";
import type { PushTarget } from "./targets.js";
import { updateLock } from "./update.js";

export interface FarmRequest {
  readonly name: string;
  readonly config: FarmConfig;
  readonly places: FarmPlaces;
  readonly targets: readonly PushTarget[];
  readonly env: NodeJS.ProcessEnv;
  /** Ends the run, in order. */
  readonly signal: AbortSignal;
}

export interface FarmDeps {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds, of a clock that goes forward only. */
  readonly clock: () => number;
  /** A step begins, said in words. */
  readonly onStep: (text: string) => void;
  /** What goes on within the step; may come often. */
  readonly onDoing: (text: string) => void;
}

/** What is known so far. */
type Draft = { -readonly [Key in keyof FarmReport]: FarmReport[Key] };

/**
 * Resolves to the report, which is written as well, however the run ends.
 * @throws TetherError, before anything is changed: `farm-busy`, `farm-lock`, `signing-key-unusable`
 */
export async function runFarm(request: FarmRequest, deps: FarmDeps): Promise<FarmReport> {
  const { name, config, places } = request;
  const keyFile = config["signing-key"];
  const key = keyFile === undefined ? null : await readSigningKey(keyFile);
  // To find it missing after a night of building would be late.
  for (const { signingKey } of request.targets) if (signingKey !== null) await readSigningKey(signingKey);
  await mkdir(places.folder, { recursive: true, mode: 0o700 });
  const startedAt = deps.now();
  const lock = await takeRunLock(places.lockFile, startedAt);
  if ("owner" in lock) throw busy(name, lock.owner);
  const begun = deps.clock();
  const draft: Draft = {
    version: 1,
    farm: name,
    result: "failed",
    startedAt: new Date(startedAt).toISOString(),
    ms: 0,
    repository: withoutPasswords(config.repository),
    branch: null,
    commit: null,
    kept: null,
    lock: null,
    builds: [],
    signed: null,
    pushes: [],
    git: null,
    error: null,
  };
  try {
    await work(request, deps, key, draft);
    draft.result = resultOf(draft);
  } catch (error) {
    draft.result = request.signal.aborted ? "cancelled" : "failed";
    draft.error = request.signal.aborted ? null : told(error);
  } finally {
    draft.ms = Math.round(deps.clock() - begun);
    try {
      await replaceFile(places.lastReport, `${JSON.stringify(draft, null, 2)}\n`);
    } finally {
      await lock.release();
    }
  }
  return draft;
}

async function work(
  request: FarmRequest,
  deps: FarmDeps,
  key: SigningKey | null,
  draft: Draft,
): Promise<void> {
  const { config, places, targets, env, signal } = request;
  const { now, clock, onStep, onDoing } = deps;
  const end = clock() + (parseDuration(config.timeout) ?? 0);
  const gitIn = (cwd: string): Git => createGit({ env, cwd, signal, author: config.author ?? null });
  const nix = createNix(env, signal, config["nix-options"]);

  onStep(`fetching ${draft.repository}`);
  const checkout = await prepareCheckout(
    { places, repository: config.repository, branch: config.branch ?? null, now: now() },
    gitIn,
  );
  Object.assign(draft, { branch: checkout.branch, commit: checkout.commit, kept: checkout.kept });
  const flake = path.join(places.checkout, config.directory ?? "");
  await requireFlake(flake, draft.repository);
  const git = gitIn(flake);
  const author = config.author ?? (await defaultAuthor(git));
  const gitAs = createGit({ env, cwd: flake, signal, author });

  if (config.update) {
    onStep("updating the flake's inputs");
    const { "update-inputs": inputs, "commit-lock": commit } = config;
    draft.lock = await updateLock({ flake, inputs, commit }, { nix, git: gitAs });
  }

  const roots = createRoots(places, new Date(now()).toISOString().replace(/[:.]/g, "-"), config.keep);
  await roots.sweep(config.attributes);
  for (const attribute of config.attributes) {
    onStep(`building ${attribute}`);
    const timeoutMs = Math.min(parseDuration(config["build-timeout"]) ?? 0, end - clock());
    const build =
      timeoutMs <= 0
        ? await notBegun(attribute, roots)
        : await buildAttribute({ flake, attribute, timeoutMs }, { nix, roots, signal, clock, onDoing });
    draft.builds = [...draft.builds, build];
  }
  await roots.sweep(config.attributes);

  await publish(
    { targets, key, checkout, rule: config["git-push"] },
    deps,
    { env, signal, git: gitAs },
    draft,
  );
}

interface Publication {
  readonly targets: readonly PushTarget[];
  readonly key: SigningKey | null;
  readonly checkout: Checkout;
  readonly rule: FarmConfig["git-push"];
}

async function publish(
  { targets, key, checkout, rule }: Publication,
  { clock, onStep, onDoing }: FarmDeps,
  { env, signal, git }: { env: NodeJS.ProcessEnv; signal: AbortSignal; git: Git },
  draft: Draft,
): Promise<void> {
  const paths = [...new Set(draft.builds.flatMap((build) => build.paths))];
  try {
    if (key !== null) {
      onStep("signing");
      draft.signed = await signPaths(paths, key, { nix: createNixTools(env), signal });
    }
    if (paths.length > 0) draft.pushes = await pushToAll(targets, paths, { signal, clock, onStep, onDoing });
  } catch (error) {
    signal.throwIfAborted();
    // Nobody would take what has no signature.
    draft.pushes = targets.map((target) => notPushed(target, "skipped", messageOf(error)));
    draft.error = told(error);
  }
  if ((draft.lock?.commit ?? null) === null) return;
  const reason = keepsFromGit(rule, draft);
  if (reason !== null) draft.git = { state: "not-pushed", reason, rebased: false, commit: null };
  else {
    onStep(`pushing ${checkout.branch} to ${draft.repository}`);
    draft.git = await pushGit(checkout.branch, git, signal);
  }
}

async function requireFlake(flake: string, repository: string): Promise<void> {
  const found = await stat(path.join(flake, "flake.nix")).catch(() => null);
  if (found?.isFile() === true) return;
  throw new TetherError("farm-no-flake", `${repository} has no flake.nix where the farm looks for it`, {
    remedy: "See farms.NAME.directory in the configuration.",
  });
}

function busy(name: string, owner: { pid: number; since: number } | null): TetherError {
  const who = owner === null ? "another process" : `process ${owner.pid}`;
  const since = owner === null ? "" : `, since ${new Date(owner.since).toISOString()}`;
  return new TetherError("farm-busy", `the farm ${name} is being run already by ${who}${since}`, {
    remedy: "Wait for its end, or end it.",
  });
}

function told(error: unknown): FarmReport["error"] {
  if (!(error instanceof TetherError)) return { code: "internal", message: messageOf(error), remedy: null };
  return { code: error.code, message: error.message, remedy: error.remedy ?? null };
}
