// Finds a binary cache on a web server: where is it, and does its `nix-cache-info` say that it is one?

import { isIP } from "node:net";
import path from "node:path";
import type { SecureContext } from "node:tls";
import type { HttpCacheConfig } from "../config/schema.js";
import type { Endpoint, SshLink } from "../link/link.js";
import type { Discovery } from "../sources/discovery.js";
import { trustedAuthorities } from "../upstream/http/certificates.js";
import { checkCacheInfo } from "../upstream/http/cache-info.js";
import { createFileVersions, type FileVersions } from "../upstream/http/file-versions.js";
import { createHttpClient } from "../upstream/http/http-client.js";
import { openHttpLink } from "../upstream/http/http-link.js";
import { authorizationFor } from "../upstream/http/netrc.js";
import { secured, serverOf } from "../upstream/http/road.js";
import { TetherError } from "../util/errors.js";
import type { Find } from "./attempt.js";
import { httpCacheLink, type CacheLink } from "./cache-link.js";
import { absence } from "./cache-target.js";
import { firstOf, roadThrough, roadTo, type Road } from "./roads.js";

export interface HttpFindDeps {
  /** By the index of the way: the cache as if this were the only one to it. */
  readonly configs: readonly HttpCacheConfig[];
  readonly discovery: Pick<Discovery, "lookup">;
  /** The link of this cache, while it is in use. */
  readonly viaLink: (cache: string) => SshLink | null;
  readonly env: NodeJS.ProcessEnv;
  /** Raises or (null) clears the warning that the server refuses us narinfos. */
  readonly warnRefused: (error: unknown) => void;
}

/** How long the server has for its `nix-cache-info`, in milliseconds. */
const answerMs = 6_000;

export function findByHttp(deps: HttpFindDeps): Find {
  const versions = deps.configs.map(createFileVersions);
  return async (way, onTarget, signal) => {
    const config = deps.configs[way] as HttpCacheConfig;
    const base = baseOf(config);
    const server = serverOf(base);
    const connect = async (road: Road): Promise<CacheLink> => {
      const { env } = deps;
      const [authorization, authorities] = await Promise.all([
        loginTo(server.host, config, env),
        server.secure ? trustedAuthorities(env) : null,
      ]);
      return connectBy(road, {
        base,
        authorization,
        authorities,
        env,
        versions: versions[way] as FileVersions,
        warn: deps.warnRefused,
        signal,
      });
    };
    if (config.via !== undefined) {
      const link = deps.viaLink(config.via);
      if (link === null) return `${config.via}, which it is reached through, is not online`;
      const family = isIP(link.address.replace(/%.*$/, "")) === 6 ? 6 : 4;
      return {
        endpoints: [{ address: link.address, family }],
        connect: () => connect(roadThrough(link, config.via ?? "")),
      };
    }
    const target = { host: server.host };
    onTarget(target);
    const result = await deps.discovery.lookup(target, signal);
    signal.throwIfAborted();
    const { endpoints } = result;
    if (endpoints.length === 0) return absence(target, result);
    const resolve = async (host: string): Promise<readonly Endpoint[]> =>
      (await deps.discovery.lookup({ host }, AbortSignal.timeout(answerMs))).endpoints;
    return {
      endpoints,
      connect: () =>
        firstOf(
          endpoints.map((endpoint) => () => connect(roadTo(endpoint, server.host, resolve))),
          (late) => late.close(),
        ),
    };
  };
}

/** The cache's URL, ending with a "/". */
export function baseOf({ url }: Pick<HttpCacheConfig, "url">): URL {
  return new URL(url.endsWith("/") ? url : `${url}/`);
}

/** The value of the `Authorization` header, or null. @throws TetherError `netrc-unreadable` */
export function loginTo(
  host: string,
  config: Pick<HttpCacheConfig, "netrc-file">,
  env: NodeJS.ProcessEnv,
): Promise<string | null> {
  const named = config["netrc-file"];
  const file = named ?? path.join(env["HOME"] ?? "/", ".netrc");
  return authorizationFor(host, file, { mustBe: named !== undefined });
}

interface ConnectOptions {
  readonly base: URL;
  readonly authorization: string | null;
  readonly authorities: SecureContext | null;
  readonly env: NodeJS.ProcessEnv;
  readonly versions: FileVersions;
  readonly warn: (error: unknown) => void;
  readonly signal: AbortSignal;
}

async function connectBy(road: Road, options: ConnectOptions): Promise<CacheLink> {
  const { base, authorization, versions, warn, signal } = options;
  const server = serverOf(base);
  let authorities = options.authorities;
  const client = createHttpClient({
    base,
    authorization,
    open: async ({ host, port, secure }) => {
      const stream = await road.open(host, port);
      if (!secure) return stream;
      authorities ??= await trustedAuthorities(options.env);
      return secured(stream, host, authorities);
    },
  });
  const late = AbortSignal.timeout(answerMs);
  try {
    await checkCacheInfo(client, base, AbortSignal.any([signal, late]));
  } catch (error) {
    client.close();
    signal.throwIfAborted();
    if (!(error instanceof TetherError) || error.code !== "no-connection") throw toldLate(error, late, base);
    throw new TetherError("unreachable", `${server.host} does not answer (${error.message})`, {
      remedy: error.message.includes("ECONNREFUSED")
        ? "Check that the web server runs on that machine, and on this port."
        : "Check that the machine is switched on and that no firewall stands between.",
      cause: error,
    });
  }
  const link = openHttpLink({ client, base, versions, onRefused: warn });
  void road.through?.closed.then((reason) => link.end(reason));
  return httpCacheLink(link, {
    address: road.address,
    port: server.port,
    localAddress: road.localAddress(),
    transport: server.secure ? "https" : "http",
    through: road.through,
  });
}

function toldLate(error: unknown, late: AbortSignal, base: URL): unknown {
  if (!late.aborted) return error;
  return new TetherError("http-failed", `${base.host} gave no answer within ${answerMs / 1000} s`);
}
