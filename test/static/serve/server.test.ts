import { mkdir, realpath, rename, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { defaultServerLimits, serveCache, type ServerLimits } from "../../../src/static/serve/server.js";
import { eventually } from "../../support/eventually.js";
import { ask, exchange } from "../../support/http.js";
import { temporaryFolder } from "../../support/temp-folder.js";

const hash = "0123456789abcdfghijklmnpqrsvwxyz";

interface Served {
  readonly folder: string;
  readonly port: number;
  readonly troubles: (string | null)[];
}

async function served(limits: Partial<ServerLimits> = {}): Promise<Served> {
  const folder = path.join(await realpath(temporaryFolder()), "cache");
  await mkdir(path.join(folder, "nar"), { recursive: true });
  await writeFile(path.join(folder, "nix-cache-info"), "StoreDir: /nix/store\n");
  await writeFile(path.join(folder, `${hash}.narinfo`), "StorePath: x\n");
  await writeFile(path.join(folder, "nar/x.nar"), "0123456789");
  await writeFile(path.join(folder, "nar/empty.nar"), "");
  await writeFile(path.join(folder, "secret-key"), "secret");
  await writeFile(path.join(folder, ".nix-tether-gc"), "{}");
  await writeFile(path.join(folder, "..", "outside.nar"), "outside");
  const troubles: (string | null)[] = [];
  const server = await serveCache({
    folder,
    host: "127.0.0.1",
    port: 0,
    limits: { ...defaultServerLimits, ...limits },
    onTrouble: (why) => troubles.push(why),
  });
  onTestFinished(() => server.close(0));
  return { folder, port: server.port, troubles };
}

test("files, with their types and lengths", async () => {
  const { port } = await served();
  const info = await ask(port, "/nix-cache-info");
  expect(info).toMatchObject({ status: 200, headers: { "content-type": "text/x-nix-cache-info" } });
  expect(info.body.toString()).toBe("StoreDir: /nix/store\n");
  expect((await ask(port, `/${hash}.narinfo`)).headers["content-type"]).toBe("text/x-nix-narinfo");
  const nar = await ask(port, "/nar/x.nar");
  expect(nar).toMatchObject({
    status: 200,
    headers: { "content-type": "application/x-nix-nar", "content-length": "10", "accept-ranges": "bytes" },
  });
  expect(nar.body.toString()).toBe("0123456789");
  expect(await ask(port, "/nar/empty.nar")).toMatchObject({ status: 200, cut: false });
  const head = await ask(port, "/nar/x.nar", { method: "HEAD" });
  expect(head).toMatchObject({ status: 200, headers: { "content-length": "10" } });
  expect(head.body).toHaveLength(0);
});

test("parts of a file, and only of the same one", async () => {
  const { port, folder } = await served();
  const get = (headers: http.OutgoingHttpHeaders): ReturnType<typeof ask> =>
    ask(port, "/nar/x.nar", { headers });
  const part = await get({ range: "bytes=4-" });
  expect(part).toMatchObject({
    status: 206,
    headers: { "content-range": "bytes 4-9/10", "content-length": "6" },
  });
  expect(part.body.toString()).toBe("456789");
  expect(await get({ range: "bytes=10-" })).toMatchObject({
    status: 416,
    headers: { "content-range": "bytes */10" },
  });
  const etag = String(part.headers.etag);
  expect(await get({ "if-none-match": etag })).toMatchObject({ status: 304 });
  expect((await get({ range: "bytes=4-", "if-range": etag })).status).toBe(206);
  await writeFile(path.join(folder, "nar/x.nar"), "01234567890");
  const whole = await get({ range: "bytes=4-", "if-range": etag });
  expect(whole.status).toBe(200);
  expect(whole.body.toString()).toBe("01234567890");
});

test("nothing else, and no way out of the folder", async () => {
  const { port, folder } = await served();
  await symlink("../../outside.nar", path.join(folder, "nar/out.nar"));
  await symlink("x.nar", path.join(folder, "nar/in.nar"));
  await mkdir(path.join(folder, "nar/folder.nar"));
  for (const url of [
    "/",
    "/secret-key",
    "/.nix-tether-gc",
    "/nar/../secret-key",
    "/nar/../../outside.nar",
    "/nar/%2e%2e/%2e%2e/outside.nar",
    "/nar/out.nar",
    "/nar/folder.nar",
    "/nar/missing.nar",
  ])
    expect((await ask(port, url)).status, url).toBe(404);
  expect((await ask(port, "/nar/in.nar")).body.toString()).toBe("0123456789");
  // Below a folder that is a link itself there is nothing either.
  await rename(path.join(folder, "nar"), path.join(folder, "../nar"));
  await symlink("../nar", path.join(folder, "nar"));
  expect((await ask(port, "/nar/x.nar")).status).toBe(404);
});

test("another method is refused, and what is no HTTP loses its connection", async () => {
  const { port } = await served();
  expect(await ask(port, "/nar/x.nar", { method: "DELETE" })).toMatchObject({
    status: 405,
    headers: { allow: "GET, HEAD" },
  });
  expect((await ask(port, "/nar/x.nar", { method: "PUT", body: Buffer.alloc(100_000) })).status).toBe(405);
  expect(await exchange(port, "hello\r\n\r\n")).toBe("");
  expect((await ask(port, "/nar/x.nar")).status).toBe(200);
});

test("a connection serves many requests", async () => {
  const { port } = await served();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const sockets = new Set<unknown>();
  agent.on("free", (socket) => sockets.add(socket));
  for (let count = 0; count < 5; count += 1)
    expect((await ask(port, "/nar/x.nar", { agent })).status).toBe(200);
  expect(sockets.size).toBe(1);
});

test("who reads nothing, and who asks too slowly, is let go", async () => {
  const { port, folder } = await served({ stallMs: 300, headersMs: 200, checkMs: 50 });
  await writeFile(path.join(folder, "nar/large.nar"), Buffer.alloc(64 * 1024 * 1024));
  const reader = net.connect(port, "127.0.0.1");
  const asker = net.connect(port, "127.0.0.1");
  let ended = 0;
  for (const socket of [reader, asker]) socket.on("error", () => undefined).on("close", () => (ended += 1));
  reader.write("GET /nar/large.nar HTTP/1.1\r\nHost: x\r\n\r\n");
  reader.pause();
  asker.resume();
  asker.write("GET /nar/large.nar HTTP/1.1\r\nHo");
  await eventually("the asker is let go", () => ended === 1, 10_000);
  await sleep(2_000);
  // What has been sent already is still to be read; then comes the end.
  reader.resume();
  await eventually("the reader is let go", () => ended === 2, 10_000);
  expect(reader.bytesRead).toBeLessThan(64 * 1024 * 1024);
});

test("one address has only so many connections", async () => {
  const { port } = await served({ connectionsOfOne: 2 });
  const sockets = [1, 2, 3].map(() =>
    net
      .connect(port, "127.0.0.1")
      .on("error", () => undefined)
      .resume(),
  );
  onTestFinished(() => sockets.forEach((socket) => socket.destroy()));
  let closed = 0;
  for (const socket of sockets) socket.on("close", () => (closed += 1));
  await eventually("the third is refused", () => closed === 1);
  sockets[0]?.destroy();
  sockets[1]?.destroy();
  await eventually(
    "there is room again",
    async () => (await ask(port, "/nar/x.nar").catch(() => null))?.status === 200,
  );
});

test("a port that is taken is said", async () => {
  const { port, folder } = await served();
  const options = {
    folder,
    host: "127.0.0.1",
    port,
    limits: defaultServerLimits,
    onTrouble: () => undefined,
  };
  await expect(serveCache(options)).rejects.toMatchObject({
    code: "serve-listen",
    message: `can not listen on 127.0.0.1, port ${port}: another program has it`,
  });
});

test("a connection that can not be accepted ends nothing", async () => {
  const made = vi.spyOn(http, "createServer");
  onTestFinished(() => made.mockRestore());
  const { port, troubles } = await served();
  const server = made.mock.results[0]?.value as http.Server;
  // As Node does where the system has no more open files.
  server.emit("error", Object.assign(new Error("accept ENFILE"), { code: "ENFILE" }));
  server.emit("error", Object.assign(new Error("accept ENFILE"), { code: "ENFILE" }));
  expect(troubles).toEqual(["accept ENFILE"]);
  expect(await ask(port, "/nar/x.nar")).toMatchObject({ status: 200 });
  await expect.poll(() => troubles).toEqual(["accept ENFILE", null]);
});
