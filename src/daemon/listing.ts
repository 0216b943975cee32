// What Nix is told of the caches: the override file, under which of its URLs each cache stands there, and whether Nix
// takes that URL from this user.

import type { Logger } from "pino";
import type { CacheConfig, Config } from "../config/schema.js";
import type { Dirs } from "../config/dirs.js";
import { generationCount } from "../decision/generation.js";
import { removeAwayMark, withDenialsWhileAway } from "./away-mark.js";
import { readGenerations, writeGenerations } from "./generation-file.js";
import { createGenerations, type Generations, type GenerationsDeps } from "./generations.js";
import { isTrustedUser } from "./local-nix.js";
import { findInclude, includeAdvice } from "./nix-conf.js";
import { cacheUrl, createOverrideFile, type OverrideEntry } from "./override-file.js";
import { askRefusedUrls } from "./refused-urls.js";
import { defaultRecheckTimes, webRecheckTimes, type Rechecks } from "./rechecks.js";
import { createSaver } from "./saver.js";
import { createUrlPermissions, type UrlPermissions } from "./url-permissions.js";
import type { Warnings } from "./warnings.js";

/** What the listing hangs on. */
export interface ListingDeps {
  readonly config: Config;
  readonly dirs: Dirs;
  readonly env: NodeJS.ProcessEnv;
  readonly warnings: Warnings;
  /** See `Gateway.servesAny`. */
  readonly servesAny: GenerationsDeps["servesAny"];
  /** Whether anything may be listed at this moment. */
  readonly mayList: () => boolean;
  /** Another of the cache's URLs is to be listed from now on. */
  readonly onMoved: (cache: string) => void;
  /** Nix takes other URLs than before; must not reject. */
  readonly onPermitted: () => Promise<unknown>;
  readonly log: Logger;
}

/** What Nix is told of the caches, and what is known of what it makes of it. */
export interface Listing {
  readonly generations: Pick<Generations, "answered" | "current" | "recheck">;
  readonly permissions: Pick<UrlPermissions, "listable" | "lookAgain">;
  /** Asks Nix what it takes from this user; to be awaited before the first `entryOf`. Bounded; never rejects. */
  look(): Promise<void>;
  /** A link to the cache is in use: asks again for what was denied, and asks Nix again what it takes. */
  begin(cache: string): Rechecks;
  /** What the override holds for a cache that is in use; null where Nix would not take it. */
  entryOf(cache: string): OverrideEntry | null;
  /** Replaces the override's content; with nothing where nothing may be listed. What fails becomes a warning. Never rejects. */
  write(entries: readonly OverrideEntry[]): Promise<void>;
  /** The names of the caches that the override lists now. */
  readListed(): readonly string[];
  /** Raises or clears the warnings about what keeps Nix from using the override or a URL. */
  warn(): void;
  /** The gateway answers from now on, and nobody else: what was said in its place is taken over. */
  takeOver(): void;
  /** Resolves when what the next daemon is to know is written. */
  flush(): Promise<void>;
}

/** From a link's coming into use to asking Nix again what it takes, in milliseconds. */
const lookAfterMs = 1_000;

export function createListing(deps: ListingDeps): Listing {
  const { config, dirs, env, warnings, log } = deps;
  const names = Object.keys(config.caches);

  const override = createOverrideFile({ path: dirs.overrideFile, log });
  const warnUnwritable = warnings.follow("override-unwritable", null);
  const write = async (entries: readonly OverrideEntry[]): Promise<void> => {
    try {
      await override.write(deps.mayList() ? entries : []);
      warnUnwritable(null);
    } catch (error) {
      warnUnwritable(error);
    }
  };

  const generations = createGenerations({
    caches: names,
    saved: withDenialsWhileAway(readGenerations(dirs.generationFile, log), names, dirs.awayMark),
    servesAny: deps.servesAny,
    refused: (cache) => permissions.refused(cache),
    onMoved: deps.onMoved,
    onChanged: () => saver.changed(),
    timesOf: (name) => (config.caches[name]?.type === "http" ? webRecheckTimes : defaultRecheckTimes),
    now: Date.now,
    log,
  });
  const saveGenerations = async (): Promise<void> => {
    await writeGenerations(dirs.generationFile, generations.snapshot());
    removeAwayMark(dirs.awayMark);
  };
  const saver = createSaver(saveGenerations, {
    soonMs: 1_000,
    everyMs: 10_000,
    onSaved: warnings.follow("state-unwritable", null),
  });

  const urlOf = (name: string, generation?: number): string => {
    const { priority, trusted } = config.caches[name] as CacheConfig;
    return cacheUrl({ port: config.gateway.port, name, generation, priority, trusted });
  };
  const allGenerations = Array.from({ length: generationCount }, (_, generation) => generation);
  const permissions = createUrlPermissions({
    urls: new Map(names.map((name) => [name, allGenerations.map((one) => urlOf(name, one))])),
    bareUrls: new Map(names.map((name) => [name, urlOf(name)])),
    generationOf: generations.current,
    ask: (urls) => askRefusedUrls(urls, env, log),
    onChanged: deps.onPermitted,
    warnings,
  });
  let keysAllowed = false;

  return {
    generations,
    permissions,
    look: async () => {
      [keysAllowed] = await Promise.all([mayWriteKeys(deps), permissions.look()]);
    },
    begin: (cache) => {
      // Root may have thought otherwise since the last time. To run Nix at once would delay the listing.
      setTimeout(() => void permissions.look(), lookAfterMs).unref();
      return generations.begin(cache);
    },
    entryOf: (name) => {
      const listable = permissions.listable(name);
      if (listable === null) return null;
      const keys = config.caches[name]?.["public-keys"] ?? [];
      const url = listable === "bare" ? urlOf(name) : urlOf(name, generations.current(name));
      return { name, url, publicKeys: keysAllowed ? keys : [] };
    },
    write,
    readListed: override.readListed,
    warn: () => {
      checkInclude(deps);
      permissions.warn();
    },
    takeOver: () => saver.changed(),
    flush: saver.flush,
  };
}

/** Without the include the override does nothing, and nothing else would say so. */
function checkInclude({ dirs, env, warnings }: ListingDeps): void {
  const advice = includeAdvice(findInclude(dirs, env));
  if (advice === null) warnings.clear("override-not-included", null);
  else warnings.raise("override-not-included", null, `${advice.text}. ${advice.remedy}`);
}

/** Nix takes keys from trusted users only, and warns anybody else at every command. */
async function mayWriteKeys({ config, env, log }: ListingDeps): Promise<boolean> {
  const anyKeys = Object.values(config.caches).some((cache) => cache["public-keys"].length > 0);
  return anyKeys && (await isTrustedUser(env, log));
}
