// An agent of Node's HTTP client whose connections go by a road of ours, and are kept for the next requests.

import http from "node:http";
import type { Duplex } from "node:stream";
import type { Server } from "./road.js";

/** So many idle connections are kept, for the next requests. */
const mostIdle = 16;

/** `http.Agent` calls `ref` on what it uses again, as if it were a socket. */
function withRef(stream: Duplex): Duplex {
  return "ref" in stream ? stream : Object.assign(stream, { ref: () => stream });
}

/** Connections that go by a road of ours. */
export class RoadAgent extends http.Agent {
  readonly #secure: boolean;
  readonly #open: (server: Server) => Promise<Duplex>;

  constructor(secure: boolean, open: (server: Server) => Promise<Duplex>, { keepAlive = true } = {}) {
    super({ keepAlive, maxFreeSockets: mostIdle, scheduling: "lifo" });
    this.#secure = secure;
    this.#open = open;
  }

  /** As `http.Agent` calls it; what it gives comes later. */
  override createConnection(
    { host, port }: http.ClientRequestArgs,
    done?: (error: Error | null, stream: Duplex) => void,
  ): undefined {
    // Its callback takes an error alone, other than its type says.
    const tell = done as (error: Error | null, stream?: Duplex) => void;
    this.#open({ host: host ?? "", port: Number(port), secure: this.#secure }).then(
      (stream) => tell(null, withRef(stream)),
      (error: unknown) => tell(error as Error),
    );
  }

  /** What is no socket has none of the switches that would be turned here. */
  override keepSocketAlive(): true {
    return true;
  }

  dropIdle(): void {
    for (const streams of Object.values(this.freeSockets))
      for (const stream of streams ?? []) stream.destroy();
  }
}
