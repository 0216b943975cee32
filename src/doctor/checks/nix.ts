// Which Nix there is on this machine, and which of its settings and habits keep it from using a cache.

import os, { type NetworkInterfaceInfo } from "node:os";
import type { NixSettings } from "../../daemon/nix-settings.js";
import { runTool } from "../../util/run-tool.js";
import type { Look } from "../check.js";
import { failure, ok, warning, type Finding } from "../finding.js";
import type { Here } from "../here.js";

export function nixCheck(here: Here): Look {
  return async (signal) => {
    const version = await here.version(signal);
    const daemon = await here.daemon(signal);
    if (daemon === null) return ok(`${version}, which opens the store itself`);
    return ok(`${version}, with a nix-daemon ${daemon.nixVersion ?? "of an old version"}`);
  };
}

const systemctlMs = 2_000;

export function nixSettingsCheck(
  here: Here,
  interfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]> = os.networkInterfaces,
): Look {
  return async (signal) => {
    const daemon = await here.daemon(signal);
    const facts: TrapFacts = {
      settings: await here.own(signal),
      system: await here.system(signal),
      version: daemon?.nixVersion ?? (await here.version(signal)),
      // Whoever opens the store does the fetching.
      fetcherEnv: daemon === null ? here.env : await nixDaemonEnvironment(here.env, signal),
      hasNetwork: hasNetwork(interfaces()),
    };
    const found = traps(facts);
    return found.length > 0 ? found : ok("none that keeps a cache from being used");
  };
}

export interface TrapFacts {
  readonly settings: NixSettings;
  readonly system: NixSettings;
  readonly version: string;
  /** The environment of the process that fetches; null where it can not be found out. */
  readonly fetcherEnv: NodeJS.ProcessEnv | null;
  readonly hasNetwork: boolean;
}

/** For so long nix-tether reckons that a "not here" is remembered, in seconds: Nix's default. */
const negativeTtl = 3_600;

/** Pure: what was found to be in the way. */
export function traps(facts: TrapFacts): Finding[] {
  const { settings, system, version } = facts;
  const found: Finding[] = [];
  // Without a network the new commands themselves set it so.
  if (facts.hasNetwork && settings.text("substitute") === "false") {
    found.push(failure("substitute = false: Nix asks no cache at all", "Take it out of nix.conf."));
  }
  if (proxied(facts.fetcherEnv ?? {})) {
    found.push(
      failure(
        "Nix fetches through a proxy, which can not reach 127.0.0.1 of this machine",
        "Add 127.0.0.1 to no_proxy in the nix-daemon's environment (systemctl edit nix-daemon), and restart it.",
      ),
    );
  }
  if (settings.text("fallback") === "true" && /^2\.([0-9]|1[0-9]|2[0-5])\./.test(version)) {
    found.push(
      warning(
        `fallback = true: where a cache fails in the middle, a nix-daemon as old as ${version} may crash`,
        "Take it out of nix.conf: nix-tether needs no fallback.",
      ),
    );
  }
  // It is asked of a nix-daemon, which does not take it from us.
  const ttl = Number(system.text("narinfo-cache-negative-ttl"));
  if (ttl > negativeTtl) {
    found.push(
      warning(
        `narinfo-cache-negative-ttl = ${ttl}: for longer than an hour Nix may not ask again for what was not there`,
        "Take it out of /etc/nix/nix.conf.",
      ),
    );
  }
  if (!facts.hasNetwork) {
    found.push(
      warning(
        "there is no address but the loopback's: `nix build` then turns all caches off (nix-build does not)",
        "Join a network, or give it --option substitute true.",
      ),
    );
  }
  return found;
}

/** curl's rules, for http://127.0.0.1. */
function proxied(env: NodeJS.ProcessEnv): boolean {
  const proxy = env["http_proxy"] ?? env["all_proxy"] ?? env["ALL_PROXY"] ?? "";
  const exempt = (env["no_proxy"] ?? env["NO_PROXY"] ?? "").split(/[,\s]+/);
  return proxy !== "" && !exempt.some((one) => one === "*" || /^127\.0\.0\.(1|0\/8)$/.test(one));
}

/** As Nix sees it: a link-local IPv6 address does not count. */
function hasNetwork(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): boolean {
  return Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .some(({ internal, family, address }) => !internal && (family === "IPv4" || !/^fe[89ab]/i.test(address)));
}

/** What its unit sets. */
async function nixDaemonEnvironment(
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<NodeJS.ProcessEnv | null> {
  const args = ["show", "nix-daemon.service", "--property=Environment", "--value"];
  const result = await runTool("systemctl", args, { env, ms: systemctlMs, signal }).catch(() => null);
  signal.throwIfAborted();
  if (result?.code !== 0) return null;
  const words = [...result.stdout.matchAll(/"?([A-Za-z_]+)=([^"\s]*)"?/g)];
  return Object.fromEntries(words.map(([, name = "", value]) => [name, value]));
}
