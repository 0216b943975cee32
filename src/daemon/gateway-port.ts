// The gateway's port: where another program has it, the daemon runs without, and takes it as soon as it is free.

import type { Gateway } from "../gateway/gateway.js";
import type { ListenOn } from "../gateway/listen.js";
import { TetherError } from "../util/errors.js";

/** How soon it is tried again, in milliseconds. */
const retryMs = 30_000;

export interface GatewayPortDeps {
  readonly gateway: Pick<Gateway, "listen">;
  readonly on: ListenOn;
  /** Why the gateway does not listen; null once it does. Told at every try. */
  readonly onTried: (error: TetherError | null) => void;
}

/**
 * Tries once; after a failure that may pass it goes on trying until the result is called. Rejects with code
 * `gateway-port-held`: systemd would pass the port to a daemon that it starts.
 */
export async function takeGatewayPort({ gateway, on, onTried }: GatewayPortDeps): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const attempt = async (): Promise<TetherError | null> => {
    const error = await gateway.listen(on).then(() => null, asTetherError);
    if (!stopped) onTried(error);
    if (!stopped && error !== null) timer = setTimeout(() => void attempt(), retryMs);
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
