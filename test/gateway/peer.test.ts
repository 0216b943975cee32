// The peer check against this kernel's own tables.

import { once } from "node:events";
import net from "node:net";

import { expect, onTestFinished, test } from "vitest";

import { lookUpPeer } from "../../src/gateway/peer.js";

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
