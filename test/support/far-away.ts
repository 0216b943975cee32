// A TCP relay in the place of a long way: everything takes its time, and what goes to the far side can be held back.

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface FarAway {
  readonly address: string;
  readonly port: number;
  /** What is sent to the far side from now on does not get there. */
  hold(): void;
  close(): Promise<void>;
}

/** Each byte arrives `delayMs` milliseconds after it was sent, in both directions. */
export async function startFarAway(
  target: { address: string; port: number },
  delayMs: number,
): Promise<FarAway> {
  const sockets = new Set<Socket>();
  let held = false;
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: target.address, port: target.port, noDelay: true });
    const pass = (from: Socket, to: Socket, isOpen: () => boolean): void => {
      sockets.add(from);
      from.on("error", () => undefined).on("close", () => void (sockets.delete(from), to.destroy()));
      from.on("data", (piece) => {
        if (isOpen()) setTimeout(() => !to.destroyed && to.write(piece), delayMs);
      });
    };
    pass(near, far, () => !held);
    pass(far, near, () => true);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    hold: () => (held = true),
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
