// Where a cache's configuration says that its machine is: in the words of the link, and in those of discovery.

import type { SshCacheConfig } from "../config/schema.js";
import type { LinkConfig } from "../link/ssh-config.js";
import type { LookupResult, LookupTarget } from "../sources/discovery.js";

/** `hostname` is what ssh_config makes of the configured host. */
export function lookupTarget(config: SshCacheConfig, hostname: string): LookupTarget {
  return {
    host: hostname,
    ...(config.service === undefined ? {} : { service: config.service }),
    ...(config.instance === undefined ? {} : { instance: config.instance }),
  };
}

/** Says that nobody was found, for a lookup without endpoints. */
export function absence(target: LookupTarget, result: LookupResult): string {
  switch (result.how) {
    case "service":
      return `no ${target.service} service named ${target.instance ?? target.host} on this network`;
    case "resolver":
      return `the name ${target.host} does not resolve here`;
    case "mdns":
    case "address":
      return `${target.host} does not answer on this network`;
  }
}

/** `cache` is its name. */
export function toLinkConfig(cache: string, config: SshCacheConfig): LinkConfig {
  const list = (value: string | readonly string[]): readonly string[] =>
    typeof value === "string" ? [value] : value;
  return {
    cache,
    host: config.host,
    transport: config.transport,
    remoteSocket: config["remote-socket"],
    ...(config.user === undefined ? {} : { user: config.user }),
    ...(config.port === undefined ? {} : { port: config.port }),
    ...(config["identity-file"] === undefined ? {} : { identityFiles: list(config["identity-file"]) }),
    ...(config["identity-agent"] === undefined ? {} : { identityAgent: config["identity-agent"] }),
    ...(config["known-hosts"] === undefined ? {} : { knownHosts: list(config["known-hosts"]) }),
  };
}
