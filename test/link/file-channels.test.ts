// The SFTP channels of a link, on both sides ssh2's: an sshd that answers when a test says so.

import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import ssh2 from "ssh2";
import type { Client, ServerChannel } from "ssh2";
import { afterEach, describe, expect, it } from "vitest";
import { newKeyPair } from "../../src/demo/embedded-pi.js";
import { FileChannels } from "../../src/link/file-channels.js";
import { openSftp, type SftpChannel } from "../../src/link/sftp-channel.js";
import { eventually } from "../support/eventually.js";

/** SFTP's answer to a client's first word: version 3. */
const version = Buffer.from([0, 0, 0, 5, 2, 0, 0, 0, 3]);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

/** A session with an sshd whose SFTP does what `serve` does. */
async function connect(serve: (channel: ServerChannel, socket: Socket) => void): Promise<Client> {
  const sshd = new ssh2.Server({ hostKeys: [newKeyPair().privateKey] });
  let socket: Socket;
  const server = createServer((accepted) => {
    socket = accepted;
    sshd.injectSocket(accepted);
  });
  sshd.on("connection", (connection) => {
    connection.on("error", () => undefined);
    connection.on("authentication", (asked) => asked.accept());
    connection.on("session", (accept) => {
      accept().on("subsystem", (acceptSubsystem: () => ServerChannel) => {
        const channel = acceptSubsystem();
        channel.on("error", () => undefined);
        channel.once("data", () => serve(channel, socket));
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new ssh2.Client();
  client.on("error", () => undefined);
  cleanups.push(async () => {
    client.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const ready = once(client, "ready");
  client.connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, username: "user" });
  await ready;
  return client;
}

const noEnd = (): void => undefined;

describe("an SFTP channel", () => {
  it("is ended where it comes too late", async () => {
    let closed = false;
    const client = await connect((channel) => {
      channel.on("close", () => (closed = true));
      setTimeout(() => channel.write(version), 200);
    });
    await expect(openSftp(client, "user@pi", noEnd, 50)).rejects.toMatchObject({ code: "sftp-unavailable" });
    expect(closed).toBe(false);
    await eventually("it is closed", () => closed);
  });
});

describe("the channels of a link", () => {
  it("refuse one that ends in the breath in which it began", async () => {
    const client = await connect((channel, socket) => {
      socket.cork();
      channel.write(version);
      channel.close();
      socket.uncork();
    });
    const channels = new FileChannels((onEnd) => openSftp(client, "user@pi", onEnd));
    await expect(channels.open()).rejects.toMatchObject({ code: "sftp-unavailable" });
  });

  it("end with the link, also one that is only just opened", async () => {
    const client = await connect((channel) => channel.write(version));
    const channels = new FileChannels((onEnd) => openSftp(client, "user@pi", onEnd));
    const files = await channels.open();
    const asked = files.stat("/");
    const opening = channels.open();
    const reason = new Error("the link ended");
    channels.end(reason);
    await expect(asked).rejects.toBe(reason);
    await expect(opening).rejects.toBe(reason);
  });

  it("are forgotten when they are closed", async () => {
    const client = await connect((channel) => channel.write(version));
    const opened: WeakRef<SftpChannel>[] = [];
    const channels = new FileChannels(async (onEnd) => {
      const channel = await openSftp(client, "user@pi", onEnd);
      opened.push(new WeakRef(channel));
      return channel;
    });
    for (let n = 0; n < 5; n += 1) (await channels.open()).close();
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    await eventually("they are gone", async () => {
      await sleep(10);
      collectGarbage();
      return opened.every((one) => one.deref() === undefined);
    });
    channels.end(new Error("the link ended"));
  });
});
