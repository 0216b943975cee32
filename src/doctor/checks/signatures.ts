// Are the machine's paths really signed by a key that Nix knows? A sample of them is looked at.

import type { CacheConfig } from "../../config/schema.js";
import type { PathInfo } from "../../protocol/path-info.js";
import { signers } from "../../protocol/signature.js";
import { samplePaths } from "../../upstream/sample-paths.js";
import type { Look } from "../check.js";
import { failure, ok, skipped, warning, type Finding } from "../finding.js";
import type { Here } from "../here.js";
import type { Machine } from "../machine.js";

/** Paths that are asked about. */
const sampleSize = 100;

/** `reached` gives the machine by a way that has led to it. */
export function signaturesCheck(config: CacheConfig, reached: () => Machine | null, here: Here): Look {
  return async (signal) => {
    if (config.trusted) return skipped("not needed: trusted = true accepts unsigned paths");
    if (config.type === "http") {
      return skipped(
        "not looked at: a web server does not tell which paths it has; of one, `nix-tether explain PATH` tells it",
      );
    }
    const link = (await reached()?.reached(signal))?.link ?? null;
    if (link === null) return skipped("there is no link");
    const sample = await samplePaths(() => link.openDaemon(), sampleSize, signal);
    const own = (await here.standing(signal)) !== "untrusted";
    const settings = own ? await here.own(signal) : await here.system(signal);
    const keys = settings.list("trusted-public-keys");
    return judgeSample(sample, [...keys, ...(own ? config["public-keys"] : [])]);
  };
}

/** Pure: `keys` are those that Nix knows. */
export function judgeSample(sample: readonly PathInfo[], keys: readonly string[]): Finding {
  // What is known by its content needs no signature.
  const paths = sample.filter(({ ca }) => ca === null);
  if (paths.length === 0) return skipped("the machine has no path yet that needs one");
  const trustedKeys = [...new Set(keys)];
  const by = new Map(paths.map((info) => [info, signers(info, trustedKeys)]));
  const good = paths.filter((info) => (by.get(info) ?? []).length > 0);
  const names = [...new Set([...by.values()].flat())].toSorted().join(", ");
  if (good.length === paths.length) {
    return ok(`all of ${paths.length} paths looked at are signed by ${names}`);
  }
  const bad = paths.filter((info) => !good.includes(info));
  const unsigned = bad.filter(({ signatures }) => signatures.length === 0);
  const few = `of ${paths.length} paths looked at, ${good.length} are signed by a key that Nix knows`;
  if (unsigned.length === 0) {
    const others = [...new Set(bad.flatMap(({ signatures }) => signatures.map(keyName)))].toSorted();
    return told(
      good.length > 0,
      `${few}; others by ${others.join(", ")}`,
      `Put the public key of ${others[0]} into trusted-public-keys.`,
    );
  }
  return told(
    good.length > 0,
    `${few}, and ${unsigned.length} by none (${unsigned[0]?.path})`,
    "On that machine, make a key and name it as secret-key-files in its nix.conf, and sign what is there: `sudo nix store sign --all --key-file /etc/nix/secret-key`",
  );
}

function told(some: boolean, text: string, remedy: string): Finding {
  return some ? warning(text, remedy) : failure(text, remedy);
}

function keyName(signature: string): string {
  return signature.split(":", 1)[0] ?? signature;
}
