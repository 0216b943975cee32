// The demo's fetch believes nothing: a cache that lies about anything is caught.

import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { fetchPath, lookUp } from "../../src/demo/fetch-path.js";
import { encodeNar } from "../../src/demo/nar.js";
import { newSigningKey } from "../../src/demo/signing.js";
import { formatNarinfo } from "../../src/protocol/narinfo.js";

const path = `/nix/store/${"0".repeat(32)}-letter.txt`;
const album = `/nix/store/${"1".repeat(32)}-album`;
const nar = encodeNar(Buffer.from("Dear laptop"));
const key = newSigningKey("pi-1");
const info = {
  path,
  narHash: createHash("sha256").update(nar).digest("hex"),
  narSize: nar.length,
  references: [album],
  deriver: null,
  ca: null,
};
const honest = { narinfo: formatNarinfo({ ...info, signatures: [key.sign(info)] }, "nar/it.nar"), nar };

let server: Server;
let served: { narinfo: string; nar: Buffer };

beforeEach(async () => {
  served = honest;
  server = createServer((request, response) => {
    const answers: Record<string, string | Buffer> = {
      "/pi/nix-cache-info": "StoreDir: /nix/store\nWantMassQuery: 1\n",
      [`/pi/${"0".repeat(32)}.narinfo`]: served.narinfo,
      "/pi/nar/it.nar": served.nar,
    };
    const answer = answers[request.url ?? ""];
    response.writeHead(answer === undefined ? 404 : 200).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterEach(() => server.closeAllConnections());
afterEach(() => void server.close());

const base = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/pi`;
const fetchIt = (publicKey = key.publicKey): Promise<number> =>
  fetchPath(base(), path, publicKey, AbortSignal.timeout(10_000));

test("an honest cache gives the path", async () => {
  expect(await fetchIt()).toBe(nar.length);
  expect(await lookUp(base(), path, AbortSignal.timeout(10_000))).toBe(200);
  expect(await lookUp(base(), album, AbortSignal.timeout(10_000))).toBe(404);
});

test.each([
  ["another path", () => honest.narinfo.replace(path, album), nar, "of another path"],
  ["other bytes", () => honest.narinfo, encodeNar(Buffer.from("Dear Laptop")), "another hash"],
  ["fewer bytes", () => honest.narinfo, nar.subarray(0, -8), "another hash"],
  ["a wrong size", () => honest.narinfo.replace(/NarSize: .*/, "NarSize: 8"), nar, "another size"],
  ["other references", () => honest.narinfo.replace(/References: .*/, "References: "), nar, "not the Pi's"],
  ["no signature", () => honest.narinfo.replace(/Sig: .*\n/, ""), nar, "not the Pi's"],
])("%s is caught", async (_what, narinfo, bytes, complaint) => {
  served = { narinfo: narinfo(), nar: bytes };
  await expect(fetchIt()).rejects.toThrow(complaint);
});

test("another key's signature is caught, under the same name too", async () => {
  await expect(fetchIt(newSigningKey("pi-1").publicKey)).rejects.toThrow("not the Pi's");
  await expect(fetchIt(newSigningKey("pi-2").publicKey)).rejects.toThrow("not the Pi's");
});

test("a path that is not there is said to be refused", async () => {
  await expect(fetchPath(base(), album, key.publicKey, AbortSignal.timeout(10_000))).rejects.toThrow("404");
});
