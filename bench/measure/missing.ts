// Asks an HTTP binary cache for narinfos as Nix does, over 25 connections at a time, without Nix's own work.

import { once } from "node:events";
import { connect } from "node:net";
import { baseNameOf } from "../../src/protocol/store-path.js";
import { withDeadline } from "../../src/util/abort.js";
import { inventPath } from "../../test/support/nix-export.js";

/** Nix's `http-connections`. */
const connections = 25;

/** Store paths that nobody has. */
export function missingPaths(seed: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => inventPath(`missing-${at}`, seed));
}

/** The seconds until all are answered; throws unless each answer has this status. */
export async function askForNarinfos(
  cache: URL,
  paths: readonly string[],
  status: 200 | 404,
): Promise<number> {
  const left = paths.map((path) => baseNameOf(path).slice(0, 32));
  const prefix = cache.pathname.replace(/\/$/, "");
  const worker = async (): Promise<void> => {
    const socket = connect({ host: cache.hostname, port: Number(cache.port), noDelay: true });
    socket.setEncoding("latin1");
    let text = "";
    try {
      for (let hash = left.pop(); hash !== undefined; hash = left.pop()) {
        socket.write(`GET ${prefix}/${hash}.narinfo HTTP/1.1\r\nHost: ${cache.host}\r\n\r\n`);
        while (!isWhole(text)) text += String((await once(socket, "data"))[0]);
        if (!text.startsWith(`HTTP/1.1 ${status}`))
          throw new Error(`${cache.href} answers ${text.split("\r\n", 1)[0]}`);
        text = "";
      }
    } finally {
      socket.destroy();
    }
  };
  const began = performance.now();
  await withDeadline(
    Promise.all(Array.from({ length: connections }, worker)),
    120_000,
    "asking for narinfos",
  );
  return (performance.now() - began) / 1000;
}

function isWhole(response: string): boolean {
  const end = response.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /^content-length: *(\d+)/im.exec(response.slice(0, end))?.[1] ?? "0";
  return response.length >= end + 4 + Number(length);
}
