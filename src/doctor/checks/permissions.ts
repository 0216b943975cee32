// Does Nix take the cache's URLs from this user, and by which right? Does it know a key that the paths are signed with?

import type { Logger } from "pino";
import type { CacheConfig } from "../../config/schema.js";
import type { Standing } from "../../daemon/local-nix.js";
import type { NixSettings } from "../../daemon/nix-settings.js";
import { cacheUrl } from "../../daemon/override-file.js";
import { askRefusedUrls } from "../../daemon/refused-urls.js";
import { adviceForRoot } from "../../daemon/url-permissions.js";
import { generationCount } from "../../decision/generation.js";
import type { Look } from "../check.js";
import { failure, ok, warning, type Finding } from "../finding.js";
import type { Here } from "../here.js";

export interface UrlFacts {
  readonly name: string;
  readonly config: CacheConfig;
  readonly port: number;
}

/** The ring, in the order of the generations. */
export function urlsOf({ name, config: { priority, trusted }, port }: UrlFacts): string[] {
  return Array.from({ length: generationCount }, (_, generation) =>
    cacheUrl({ port, name, generation, priority, trusted }),
  );
}

export function urlsCheck(here: Here, facts: UrlFacts, log: Logger): Look {
  const ring = urlsOf(facts);
  const { name, port, config } = facts;
  const bare = cacheUrl({ port, name, priority: config.priority, trusted: config.trusted });
  return async (signal) => {
    const refused = await askRefusedUrls([...ring, bare], here.env, log);
    if (refused === null) {
      return failure(
        "nix-store can not be asked which URLs it takes",
        "`nix-store --check-validity /nix/store` says what is wrong.",
      );
    }
    return judgeUrls({
      ring,
      refused,
      bareTaken: !refused.has(bare),
      standing: await here.standing(signal),
      system: await here.system(signal),
    });
  };
}

export interface UrlAnswers {
  readonly ring: readonly string[];
  readonly refused: ReadonlySet<string>;
  /** Whether Nix takes the URL without a generation. */
  readonly bareTaken: boolean;
  readonly standing: Standing;
  readonly system: NixSettings;
}

/** Pure. */
export function judgeUrls({ ring, refused, bareTaken, standing, system }: UrlAnswers): Finding {
  const where = (missing: (url: string) => boolean): ReadonlySet<number> =>
    new Set(ring.flatMap((url, generation) => (missing(url) ? [generation] : [])));
  const ignored = where((url) => refused.has(url));
  if (ignored.size > 0) {
    const taken = ring.length - ignored.size;
    const text =
      taken > 0
        ? `Nix takes only ${taken} of its ${ring.length} URLs`
        : bareTaken
          ? "Nix takes only its URL without a number, and under one URL it remembers for an hour what was not there"
          : "Nix would ignore all its URLs, so it is not told of it";
    return failure(text, adviceForRoot(ring, ignored));
  }
  const allowed = `root has allowed all ${ring.length} of them`;
  if (standing === "own-store") return ok("Nix opens the store itself, so nobody has to allow them");
  if (standing === "root") return ok("you are root, so nobody has to allow them");
  if (standing === "untrusted") return ok(allowed);
  const listed = new Set([...system.list("trusted-substituters"), ...system.list("substituters")]);
  const unlisted = where((url) => !listed.has(url));
  const asRoot = "in the nix-daemon's trusted-users, which is as good as being root, and not needed";
  const leave =
    "Take your name (or group) out of trusted-users in /etc/nix/nix.conf, and restart the nix-daemon.";
  return unlisted.size === 0
    ? warning(`${allowed}; but you are ${asRoot}`, leave)
    : warning(`Nix takes them because you are ${asRoot}`, `${adviceForRoot(ring, unlisted)} Then: ${leave}`);
}

export function keysCheck(here: Here, { config }: UrlFacts): Look {
  return async (signal) => {
    const standing = await here.standing(signal);
    const settings = standing === "untrusted" ? await here.system(signal) : await here.own(signal);
    return judgeKeys(config, standing, settings);
  };
}

/** That of cache.nixos.org, which Nix knows from the start. */
const upstreamKey = "cache.nixos.org-1";

/** Pure. `settings` are those that count. */
export function judgeKeys(config: CacheConfig, standing: Standing, settings: NixSettings): Finding {
  if (config.trusted) return ok("not needed: trusted = true accepts unsigned paths");
  if (settings.text("require-sigs") === "false") {
    return warning(
      "require-sigs = false: Nix takes unsigned paths from every cache",
      "Take it out of nix.conf, and put the machine's key into trusted-public-keys.",
    );
  }
  const known = settings.list("trusted-public-keys");
  const missing = config["public-keys"].filter((key) => !known.includes(key));
  const inRoots = (keys: string): string =>
    `Let root add it and restart the nix-daemon: \`echo 'extra-trusted-public-keys = ${keys}' | sudo tee -a /etc/nix/nix.conf; sudo systemctl restart nix-daemon\``;
  const names = [...new Set(known.map(nameOf))].filter((name) => name !== upstreamKey);
  if (missing.length > 0) {
    // Where our word counts, the daemon writes them into the override as soon as the cache is listed.
    if (standing !== "untrusted")
      return ok(`${missing.map(nameOf).join(", ")}, told to Nix while the cache is listed`);
    return failure(`Nix does not know ${missing.map(nameOf).join(", ")}`, inRoots(missing.join(" ")));
  }
  if (names.length > 0) return ok(`Nix knows ${names.join(", ")}`);
  const key =
    config.type === "http"
      ? "the public half of the key that its paths are signed with"
      : "the line in /etc/nix/public-key there";
  return failure(
    `Nix knows no key but ${upstreamKey}, and would ignore what the machine has signed`,
    standing === "untrusted"
      ? `${inRoots("KEY")} (KEY is ${key})`
      : `Name ${key} in the configuration, as public-keys = ["…"].`,
  );
}

function nameOf(key: string): string {
  return key.split(":", 1)[0] ?? key;
}
