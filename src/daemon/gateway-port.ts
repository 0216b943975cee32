// The gateway's port: where another program has it, the daemon runs without, and takes it as soon as it is free.

import type { Gateway } from "../gateway/gateway.js";
import type { ListenOn } from "../gateway/listen.js";
import { TetherError } from "../util/errors.js";
import type { Warnings } from "./warnings.js";

/** How soon it is tried again, in milliseconds. */
const retryMs = 30_000;

/** What `Gateway.listen` may fail with; each is a warning for as long as it lasts. */
const problems = ["gateway-port-taken", "gateway-port-held", "gateway-listen"] as const;

/** What `takeGatewayPort` needs. */
export interface GatewayPortDeps {
  readonly gateway: Pick<Gateway, "listen">;
  readonly on: ListenOn;
  readonly warnings: Warnings;
  /** Why the gateway does not listen; null once it does. Told at every try. */
  readonly onTried: (error: TetherError | null) => void;
}

/**
 * Tries once; after a failure that may pass it goes on trying until the result is called. Rejects with code
 * `gateway-port-held`: systemd would pass the port to a daemon that it starts.
 */
export async function takeGatewayPort(deps: GatewayPortDeps): Promise<() => void> {
  const { gateway, on, warnings, onTried } = deps;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const attempt = async (): Promise<TetherError | null> => {
    const error = await gateway.listen(on).then(() => null, asTetherError);
    if (stopped) return error;
    for (const code of problems) warnings.follow(code, null)(error?.code === code ? error : null);
    onTried(error);
    if (error !== null) timer = setTimeout(() => void attempt(), retryMs);
    return error;
  };
  const stop = (): void => {
    stopped = true;
    clearTimeout(timer);
  };
  const error = await attempt();
  if (error?.code === "gateway-port-held") {
    stop();
    throw error;
  }
  return stop;
}

function asTetherError(error: unknown): TetherError {
  return error instanceof TetherError
    ? error
    : new TetherError("gateway-listen", String(error), { cause: error });
}
