// Asks a web server for files: keep-alive, redirects that are followed within bounds, and a password that no other
// server gets to see.

import http, { type ClientRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { TetherError, messageOf } from "../../util/errors.js";
import { RoadAgent } from "./road-agent.js";
import { serverOf, type Server } from "./road.js";

/** An answer whose body has not been read; it is to be read or destroyed. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

export interface HttpClientOptions {
  /** Ends with a "/". */
  readonly base: URL;
  /** Opens a connection, TLS included: bounded. */
  readonly open: (server: Server) => Promise<Duplex>;
  /** The value of the `Authorization` header for the server of `base`, or null. */
  readonly authorization: string | null;
}

/** One cache's. */
export interface HttpClient {
  /**
   * Resolves when the answer's headers have come, of whatever status but a redirect. Rejects with the signal's reason, an
   * error of the connection, or code `bad-redirect`. With `fresh` over a connection of its own.
   */
  get(url: URL, options: GetOptions): Promise<HttpAnswer>;
  /** Closes the connections that nobody uses: they may be dead. */
  dropIdle(): void;
  /** Ends everything. Idempotent. */
  close(): void;
}

export interface GetOptions {
  readonly signal: AbortSignal;
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly fresh?: boolean;
}

const mostRedirects = 5;

/** A connection may be closed by the server in the moment in which it is used again. */
const mostRetries = 2;

/** An answer that nobody wants is read to its end up to this length, else its connection is given up. */
const smallBody = 16 * 1024;

/** … and for this time, in milliseconds. */
const discardMs = 1_000;

export function createHttpClient({ base, authorization, ...options }: HttpClientOptions): HttpClient {
  let closed = false;
  const open = async (server: Server): Promise<Duplex> => {
    const stream = closed ? null : await options.open(server);
    if (stream !== null && !closed) return stream;
    stream?.destroy();
    throw new TetherError("closed", "the cache was closed");
  };
  const agents = new Map([true, false].map((secure) => [secure, new RoadAgent(secure, open)]));
  const send = (url: URL, asked: GetOptions): Promise<IncomingMessage> => {
    const server = serverOf(url);
    const shared = agents.get(server.secure) as RoadAgent;
    return sendOnce(url, {
      ...asked,
      agent: asked.fresh === true ? new RoadAgent(server.secure, open, { keepAlive: false }) : shared,
      authorization: url.origin === base.origin ? authorization : null,
    });
  };
  const sendPatiently = async (url: URL, asked: GetOptions): Promise<IncomingMessage> => {
    for (let tries = 0; ; tries += 1) {
      try {
        return await send(url, asked);
      } catch (error) {
        if (!(error instanceof StaleConnection)) throw error;
        if (tries === mostRetries) throw error.cause;
        asked.signal.throwIfAborted();
      }
    }
  };
  return {
    get: async (first, asked) => {
      let url = first;
      for (let followed = 0; ; followed += 1) {
        const body = await sendPatiently(url, asked);
        const status = body.statusCode ?? 0;
        const { headers } = body;
        if (![301, 302, 303, 307, 308].includes(status)) return { status, headers, body };
        discard(body);
        if (followed === mostRedirects) throw badRedirect(first, `more than ${mostRedirects} redirects`);
        url = redirected(first, url, headers.location);
      }
    },
    dropIdle: () => {
      for (const agent of agents.values()) agent.dropIdle();
    },
    close: () => {
      closed = true;
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

/** Lets go of an answer that nobody reads. */
export function discard(body: IncomingMessage): void {
  body.on("error", () => undefined);
  let left = smallBody;
  const timer = setTimeout(() => body.destroy(), discardMs);
  body.on("close", () => clearTimeout(timer));
  body.on("data", (piece: Buffer) => {
    left -= piece.length;
    if (left < 0) body.destroy();
  });
}

function redirected(first: URL, from: URL, location: string | undefined): URL {
  if (location === undefined || !URL.canParse(location, from.href))
    throw badRedirect(first, "a redirect to nowhere");
  const to = new URL(location, from);
  if (to.protocol !== "http:" && to.protocol !== "https:")
    throw badRedirect(first, `a redirect to ${to.protocol}`);
  if (from.protocol === "https:" && to.protocol === "http:")
    throw badRedirect(first, "a redirect from https to http");
  to.username = to.password = to.hash = "";
  return to;
}

function badRedirect(url: URL, why: string): TetherError {
  return new TetherError("bad-redirect", `${url.href}: ${why}`);
}

/** The connection was an old one, and the server had ended it. */
class StaleConnection extends Error {}

interface SendOptions extends GetOptions {
  readonly agent: http.Agent;
  readonly authorization: string | null;
}

function sendOnce(url: URL, options: SendOptions): Promise<IncomingMessage> {
  const { signal, agent, authorization } = options;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const { host, port } = serverOf(url);
    const request: ClientRequest = http.request({
      agent,
      method: options.method ?? "GET",
      host,
      port,
      path: `${url.pathname}${url.search}`,
      setHost: false,
      headers: {
        host: url.host,
        "user-agent": "nix-tether",
        accept: "*/*",
        "accept-encoding": "identity",
        ...options.headers,
        ...(authorization === null ? {} : { authorization }),
      },
    });
    const onAbort = (): void => void request.destroy(signal.reason as Error);
    const settle = (): void => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
    // Stays for the request's whole life.
    request.on("error", (error) => {
      settle();
      const { code } = error as NodeJS.ErrnoException;
      const stale = request.reusedSocket && !signal.aborted && (code === "ECONNRESET" || code === "EPIPE");
      reject(stale ? new StaleConnection("stale", { cause: named(url, error) }) : named(url, error));
    });
    // After an answer this comes too late to matter; without one it may be all that comes.
    request.on("close", () => {
      settle();
      reject(named(url, new Error("the server gave no answer that can be used")));
    });
    request.on("response", (response) => {
      settle();
      response.on("error", () => undefined);
      resolve(response);
    });
    request.end();
  });
}

/** Errors of our own say it themselves. */
function named(url: URL, error: Error): Error {
  if (error instanceof TetherError) return error;
  return new TetherError("http-failed", `${url.origin}: ${messageOf(error)}`, { cause: error });
}
