import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { listenAt, type SocketPlace } from "../../src/util/unix-socket.js";
import { temporaryFolder } from "../support/temp-folder.js";

async function listen(file: string): Promise<{ server: net.Server; place: SocketPlace }> {
  const server = net.createServer((socket) => socket.end());
  onTestFinished(() => void server.close());
  return { server, place: await listenAt(server, file) };
}

test("a socket for its owner alone, and nothing else in the folder, until it is removed", async () => {
  const file = path.join(temporaryFolder(), "one.sock");
  const { server, place } = await listen(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(path.dirname(file))).toEqual(["one.sock"]);
  expect(await place.stands()).toBe(true);
  await place.remove();
  expect(existsSync(file)).toBe(false);
  expect(await place.stands()).toBe(false);
  expect(server.listening).toBe(true);
});

test("of two at the same moment one listens, and the other is told", async () => {
  const file = path.join(temporaryFolder(), "one.sock");
  const results = await Promise.allSettled([listen(file), listen(file)]);
  expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(results.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "EEXIST" } });
  expect(readdirSync(path.dirname(file))).toEqual(["one.sock"]);
});

test("what somebody else has put in its place is left alone, also by closing the server", async () => {
  const file = path.join(temporaryFolder(), "one.sock");
  const { server, place } = await listen(file);
  rmSync(file);
  writeFileSync(file, "theirs");
  expect(await place.stands()).toBe(false);
  await place.remove();
  await new Promise((resolve) => server.close(resolve));
  expect(existsSync(file)).toBe(true);
});
