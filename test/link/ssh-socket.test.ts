import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connectForSsh } from "../../src/link/ssh-socket.js";

let server: Server;
let socket: Socket;
let far: Socket;

beforeEach(async () => {
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  socket = connectForSsh("127.0.0.1", (server.address() as AddressInfo).port);
  [far] = (await accepted) as [Socket];
});
afterEach(() => {
  socket.destroy();
  far.destroy();
  server.close();
});

test("writes large packets of one turn of the event loop at once, with what is between them", async () => {
  if (socket.connecting) await once(socket, "connect");
  const writev = vi.spyOn(socket, "_writev" as never);
  const packets = Array.from({ length: 6 }, (_, n) => Buffer.alloc(n % 2 === 0 ? 20_000 : 20, n));
  for (const packet of packets) socket.write(packet);
  await new Promise(setImmediate);
  expect(socket.writableLength).toBe(0);
  expect(writev).toHaveBeenCalledTimes(1);
  const [bytes] = (await once(far, "data")) as [Buffer];
  expect(bytes).toEqual(Buffer.concat(packets));
});

test("writes a small packet without waiting for others", async () => {
  if (socket.connecting) await once(socket, "connect");
  socket.write("question");
  expect(socket.writableLength).toBe(0);
});

test("writes all of it before it ends", async () => {
  if (socket.connecting) await once(socket, "connect");
  socket.write(Buffer.alloc(20_000, "."));
  socket.write("goodbye");
  socket.end();
  socket.destroy();
  const pieces: Buffer[] = [];
  far.on("data", (piece: Buffer) => pieces.push(piece));
  await once(far, "close");
  expect(Buffer.concat(pieces).toString()).toMatch(/^\.{20000}goodbye$/);
});
