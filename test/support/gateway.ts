// A gateway on a free port that is closed again after the test, with small limits.

import { pino } from "pino";
import { onTestFinished } from "vitest";

import { openGateway, type Gateway, type GatewayOptions } from "../../src/gateway/gateway.js";

/** A gateway for the cache `pi` (priority 30) that waits for nobody's return, unless told otherwise. */
export async function testGateway(options: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const gateway = await openGateway({
    caches: [{ name: "pi", priority: 30 }],
    listen: { port: 0 },
    log: pino({ level: "silent" }),
    ...options,
    limits: { resumeMs: 0, ...options.limits },
  });
  onTestFinished(() => gateway.close(0));
  return gateway;
}
