// The peer check against this kernel's own tables.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";

import { expect, onTestFinished, test } from "vitest";

import { createPeerLookup } from "../../src/gateway/peer.js";

const lookUpPeer = createPeerLookup();
const own = process.geteuid?.() ?? 0;

/** The accepted end of a fresh connection to a server that listens at `host`. */
async function accepted(host: string, to: string, from?: string): Promise<net.Socket> {
  const server = net.createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect({ port, host: to, ...(from === undefined ? {} : { localAddress: from }) });
  const [socket] = (await once(server, "connection")) as [net.Socket];
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  return socket;
}

test("a process of our own user is told by its uid", async () => {
  expect(await lookUpPeer(await accepted("127.0.0.1", "127.0.0.1"))).toBe(own);
});

test("a client at another loopback address is found", async () => {
  expect(await lookUpPeer(await accepted("127.0.0.1", "127.0.0.1", "127.0.0.9"))).toBe(own);
});

test("a client that speaks IPv4 over an IPv6 socket is found", async () => {
  expect(await lookUpPeer(await accepted("127.0.0.1", "::ffff:127.0.0.1"))).toBe(own);
});

test("a connection whose other end is closed has no owner", async () => {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect(port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [net.Socket];
  onTestFinished(() => void socket.destroy());
  const ended = once(socket.resume(), "end");
  client.destroy();
  await ended;
  // The kernel shows such a socket as root's.
  await expect(lookUpPeer(socket)).rejects.toMatchObject({ code: "peer-unknown" });
});

test("connections that come at once share a reading, and one that comes later gets another", async () => {
  const reads: string[] = [];
  const lookUp = createPeerLookup((table) => {
    reads.push(table);
    return readFile(table, "latin1");
  });
  const sockets: net.Socket[] = [];
  for (let n = 0; n < 20; n += 1) sockets.push(await accepted("127.0.0.1", "127.0.0.1"));
  const early = sockets.slice(1).map(lookUp);
  // The first reading has begun by now, and may not have seen what comes next.
  await new Promise((resolve) => setImmediate(resolve));
  const uids = await Promise.all([...early, lookUp(sockets[0] as net.Socket)]);
  expect(new Set(uids)).toEqual(new Set([own]));
  expect(reads).toEqual(["/proc/net/tcp", "/proc/net/tcp"]);
});
