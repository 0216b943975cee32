// Knows which of the caches' URLs Nix takes from this user. One that it only ignores is not listed, for Nix would say so at
// every command; root, who can allow it, is told how.

import { realpathSync } from "node:fs";
import { delay, withDeadline } from "../util/abort.js";
import type { Warnings } from "./warnings.js";

/** Nix is asked no more often, in milliseconds. */
const atMostEveryMs = 3_000;

/** Who wants to know what is true now waits so long for Nix's answer, in milliseconds. */
const patienceMs = 1_500;

/** Whose URLs, and how Nix is asked. */
export interface UrlPermissionsDeps {
  /** Each cache's URLs as they are listed, by their generation. */
  readonly urls: ReadonlyMap<string, readonly string[]>;
  /** Each cache's URL without a generation: root may have allowed nothing else. */
  readonly bareUrls: ReadonlyMap<string, string>;
  readonly generationOf: (cache: string) => number;
  /** See `askRefusedUrls`. */
  readonly ask: (urls: readonly string[]) => Promise<ReadonlySet<string> | null>;
  /** Something else may be listed than before; must not reject. */
  readonly onChanged: () => Promise<unknown>;
  readonly warnings: Warnings;
}

/** What Nix takes from this user. */
export interface UrlPermissions {
  /**
   * Which of the cache's URLs may be listed: its present one, as long as nothing is known; else the one without a
   * generation, under which Nix may remember what was denied; or none.
   */
  listable(cache: string): "present" | "bare" | null;
  /** The generations that Nix would ignore. */
  refused(cache: string): ReadonlySet<number>;
  /** Raises or clears the warnings, for what is known and the generations of this moment. */
  warn(): void;
  /** Asks Nix, a moment later where it was asked just now. Never rejects; bounded as `ask` is. */
  look(): Promise<void>;
  /**
   * Asks Nix where something is refused and it was not asked just now: root may have allowed it. Does not wait long for a
   * slow answer.
   */
  lookAgain(): Promise<void>;
}

export function createUrlPermissions(deps: UrlPermissionsDeps): UrlPermissions {
  const { urls, warnings } = deps;
  const all = [...urls.values(), ...deps.bareUrls.values()].flat();
  let refusedUrls: ReadonlySet<string> = new Set();
  let looking: Promise<void> | null = null;
  let lookedAt = -Infinity;

  const refused = (cache: string): ReadonlySet<number> =>
    new Set((urls.get(cache) ?? []).flatMap((url, generation) => (refusedUrls.has(url) ? [generation] : [])));
  const listable = (cache: string): "present" | "bare" | null => {
    if (!refused(cache).has(deps.generationOf(cache))) return "present";
    return refusedUrls.has(deps.bareUrls.get(cache) ?? "") ? null : "bare";
  };

  const warn = (): void => {
    for (const [cache, ring] of urls) {
      const missing = refused(cache);
      const listed = listable(cache);
      const set = (code: string, text: string | null): void =>
        text === null ? warnings.clear(code, cache) : warnings.raise(code, cache, text);
      const advice = adviceForRoot(ring, missing);
      set(
        "url-not-allowed",
        listed !== null ? null : `Nix would ignore its URL, so it is not listed. ${advice}`,
      );
      const taken = ring.length - missing.size;
      const few =
        taken === 0
          ? "Nix takes only its URL without a number, and under one URL it remembers for an hour what was not there."
          : `Nix takes only ${taken} of its ${ring.length} URLs.`;
      set("urls-missing", listed !== null && missing.size > 0 ? `${few} ${advice}` : null);
    }
  };

  const lookNow = async (): Promise<void> => {
    lookedAt = performance.now();
    const answer = await deps.ask(all);
    // What was certain stays so while Nix can not be asked, such as while root restarts the nix-daemon.
    if (answer === null) return;
    const before = refusedUrls;
    refusedUrls = answer;
    if (all.every((url) => answer.has(url) === before.has(url))) return;
    warn();
    await deps.onChanged();
  };
  const restMs = (): number => lookedAt + atMostEveryMs - performance.now();
  const look = (): Promise<void> => {
    const ms = restMs();
    looking ??= (ms > 0 ? delay(ms).then(lookNow) : lookNow()).finally(() => (looking = null));
    return looking;
  };
  return {
    listable,
    refused,
    warn,
    look,
    lookAgain: async () => {
      // Where the whole ring is taken, nobody misses the URL without a generation.
      const missing = [...urls.keys()].some((cache) => refused(cache).size > 0);
      if (!missing || restMs() > 0) return;
      await withDeadline(look(), patienceMs, "asking nix").catch(() => undefined);
    },
  };
}

/** What root has to do so that Nix takes these URLs too, to the letter. */
export function adviceForRoot(ring: readonly string[], missing: ReadonlySet<number>): string {
  const every = missing.size === ring.length;
  const numbers = [...missing].join(" ");
  const url = (number: string): string => (ring[0] ?? "").replace("/0?", `/${number}?`);
  if (isGenerated("/etc/nix/nix.conf")) {
    const whole = `builtins.genList (n: "${url("${toString n}")}") ${ring.length}`;
    const some = `map (n: "${url("${toString n}")}") [ ${numbers} ]`;
    return `Let root add them in NixOS: \`nix.settings.trusted-substituters = ${every ? whole : some};\``;
  }
  const sequence = every ? `$(seq 0 ${ring.length - 1})` : numbers;
  const loop = `for n in ${sequence}; do echo "extra-trusted-substituters = ${url("$n")}"; done`;
  const commands = `${loop} | sudo tee -a /etc/nix/nix.conf; sudo systemctl restart nix-daemon`;
  return `Let root allow them and restart the nix-daemon: \`${commands}\``;
}

/** Where NixOS makes the file, it can not be edited. */
function isGenerated(file: string): boolean {
  try {
    return realpathSync(file).startsWith("/nix/store/");
  } catch {
    return false;
  }
}
