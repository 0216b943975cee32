// The upstream of a web cache, straight to its server, for the time of a test.

import { onTestFinished } from "vitest";
import { createFileVersions } from "../../src/upstream/http/file-versions.js";
import { createHttpClient, type HttpClient } from "../../src/upstream/http/http-client.js";
import {
  createHttpUpstream,
  defaultHttpLimits,
  type HttpLimits,
} from "../../src/upstream/http/http-upstream.js";
import { openTcp } from "../../src/upstream/http/road.js";
import type { Upstream } from "../../src/upstream/upstream.js";

export interface TestUpstream {
  readonly upstream: Upstream;
  readonly client: HttpClient;
  /** What it has complained of. */
  readonly troubles: string[];
  /** The codes with which it was refused, or null, in order. */
  readonly refused: (string | null)[];
}

/** All hosts are 127.0.0.1. */
export function httpUpstream(
  base: URL,
  options: {
    readonly authorization?: string;
    readonly limits?: Partial<HttpLimits>;
    readonly versions?: ReturnType<typeof createFileVersions>;
  } = {},
): TestUpstream {
  const troubles: string[] = [];
  const refused: (string | null)[] = [];
  const client = createHttpClient({
    base,
    authorization: options.authorization ?? null,
    open: ({ port }) => openTcp("127.0.0.1", port),
  });
  const upstream = createHttpUpstream({
    client,
    base,
    versions: options.versions ?? createFileVersions(),
    limits: { ...defaultHttpLimits, ...options.limits },
    onTrouble: (reason) => troubles.push(reason),
    onBytes: () => undefined,
    onRefused: (error) => refused.push(error?.code ?? null),
  });
  onTestFinished(() => {
    upstream.close();
    client.close();
  });
  return { upstream, client, troubles, refused };
}
