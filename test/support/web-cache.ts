// A small web server with a binary cache in memory, which tests may have misbehave in any way.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { formatNarinfo } from "../../src/protocol/narinfo.js";
import type { FakePath } from "./fake-upstream.js";

export const cacheInfo = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 10\n";

/** Answers a request itself, or (false) leaves it to the cache. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface WebCache {
  readonly port: number;
  /** Ends with a "/". */
  readonly base: URL;
  /** By their path, such as `/nix-cache-info`. */
  readonly files: Map<string, Buffer | string>;
  /** Method and path of each request, in order. */
  readonly asked: string[];
  readonly requests: IncomingMessage[];
  /** Connections accepted so far. */
  readonly connections: number;
  behave: Behaviour;
  /** Puts a path there; its NAR is told as `none` and is at `nar/<hash part>.nar`. */
  add(path: FakePath): void;
  close(): Promise<void>;
}

export async function startWebCache(): Promise<WebCache> {
  const files = new Map<string, Buffer | string>([["/nix-cache-info", cacheInfo]]);
  const asked: string[] = [];
  const requests: IncomingMessage[] = [];
  let connections = 0;
  const server = http.createServer((request, response) => {
    response.on("error", () => undefined);
    asked.push(`${request.method} ${request.url}`);
    requests.push(request);
    if (!cache.behave(request, response)) serve(request, response, files);
  });
  server.on("connection", (socket) => {
    connections += 1;
    socket.on("error", () => undefined);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const cache: WebCache = {
    port,
    base: new URL(`http://127.0.0.1:${port}/`),
    files,
    asked,
    requests,
    get connections() {
      return connections;
    },
    behave: () => false,
    add: ({ hashPart, info, nar }) => {
      files.set(`/${hashPart}.narinfo`, formatNarinfo(info, `nar/${hashPart}.nar`));
      files.set(`/nar/${hashPart}.nar`, nar);
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return cache;
}

function serve(request: IncomingMessage, response: ServerResponse, files: WebCache["files"]): void {
  const file = files.get(request.url ?? "");
  if (file === undefined) return void response.writeHead(404).end("no such file");
  const bytes = Buffer.from(file);
  const etag = `"${bytes.length}-${bytes.subarray(0, 16).toString("hex")}"`;
  const [, digits] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  const same = [undefined, etag].includes(request.headers["if-range"] as string | undefined);
  const from = digits === undefined || !same ? 0 : Number(digits);
  response.setHeader("etag", etag);
  response.setHeader("content-length", bytes.length - from);
  if (from > 0) response.setHeader("content-range", `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
  response.writeHead(from > 0 ? 206 : 200).end(request.method === "HEAD" ? undefined : bytes.subarray(from));
}
