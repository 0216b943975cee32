// A TCP proxy in the place of a bad network: each connection is reset after as many bytes from the far side as the test says.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { Transform } from "node:stream";

export interface CutProxy {
  readonly address: string;
  readonly port: number;
  /** Connections cut so far. */
  readonly cuts: number;
  /** Cuts every connection now, and with `refuse` each new one, until `allow`. */
  cut(options?: { refuse: boolean }): void;
  allow(): void;
  /** What goes to the far side does so at this speed, from now on. */
  slow(bytesPerSecond: number): void;
  close(): Promise<void>;
}

/** `limits` is asked once for each connection: how many bytes from the far side it may carry. */
export async function startCutProxy(
  target: { address: string; port: number },
  limits: () => number,
): Promise<CutProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let cuts = 0;
  let refusing = false;
  let speed = Infinity;
  const brake = (): Transform =>
    new Transform({
      transform: (piece: Buffer, _encoding, done) => {
        if (speed === Infinity) done(null, piece);
        else setTimeout(() => done(null, piece), (piece.length / speed) * 1000);
      },
    });
  const cutPair = (pair: readonly [Socket, Socket]): void => {
    if (!pairs.delete(pair)) return;
    cuts += 1;
    for (const socket of pair) socket.resetAndDestroy();
  };
  const server = createServer({ noDelay: true }, (near) => {
    near.on("error", () => undefined);
    if (refusing) return void near.destroy();
    const far = connect({ host: target.address, port: target.port, noDelay: true });
    const pair = [near, far] as const;
    const limit = limits();
    let carried = 0;
    pairs.add(pair);
    far.on("error", () => near.destroy()).on("close", () => near.destroy());
    near.on("close", () => {
      pairs.delete(pair);
      far.destroy();
    });
    near.pipe(brake()).pipe(far);
    far.on("data", (piece: Buffer) => {
      carried += piece.length;
      if (carried > limit) return cutPair(pair);
      if (!near.write(piece)) far.pause();
    });
    near.on("drain", () => far.resume());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    get cuts() {
      return cuts;
    },
    cut: (options) => {
      refusing = options?.refuse === true;
      for (const pair of pairs) cutPair(pair);
    },
    allow: () => {
      refusing = false;
    },
    slow: (bytesPerSecond) => {
      speed = bytesPerSecond;
    },
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const pair of pairs) cutPair(pair);
      await closed;
    },
  };
}
