// The peer check against this kernel's own tables.

import { once } from "node:events";
import net from "node:net";

import { expect, onTestFinished, test } from "vitest";

import { createPeerCheck, ownUids } from "../../src/gateway/peer.js";

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

test("a process of our own user is allowed", async () => {
  expect(ownUids()).toContain(own);
  expect(await createPeerCheck(ownUids())(await accepted("127.0.0.1", "127.0.0.1"))).toBe(true);
});

test("a process of another user is not", async () => {
  const check = createPeerCheck([own + 1]);
  expect(await check(await accepted("127.0.0.1", "127.0.0.1"))).toBe(false);
});

test("a client at another loopback address is found", async () => {
  const socket = await accepted("127.0.0.1", "127.0.0.1", "127.0.0.9");
  expect(await createPeerCheck([own])(socket)).toBe(true);
});

test("a client that speaks IPv4 over an IPv6 socket is found", async () => {
  expect(await createPeerCheck([own])(await accepted("127.0.0.1", "::ffff:127.0.0.1"))).toBe(true);
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
  await expect(createPeerCheck([0, own])(socket)).rejects.toMatchObject({ code: "peer-unknown" });
});
