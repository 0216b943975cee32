import { expect, test } from "vitest";
import type { SftpChannel } from "../../src/link/sftp-channel.js";
import { putBySftp } from "../../src/static/sftp-put.js";

const mib = 1024 * 1024;

/** Puts 60 MiB where `there` bytes of them are already; resolves to what was asked for: places of writes, and flushes. */
async function put(there: number, canFlush: boolean): Promise<(number | "flush")[]> {
  const asked: (number | "flush")[] = [];
  const channel: Partial<SftpChannel> = {
    open: async () => Buffer.from("handle"),
    factsOf: async () => ({ kind: "file", size: there, modifiedAt: 0 }),
    write: async (_handle, _data, position) => void asked.push(position),
    flush: async () => (asked.push("flush"), canFlush),
    setMode: async () => undefined,
    close: async () => undefined,
    rename: async () => undefined,
  };
  const options = { signal: new AbortController().signal, contentNamed: true };
  await putBySftp(channel as SftpChannel, "/x.nar", Buffer.alloc(60 * mib), options, async (error) => error);
  return asked;
}

test("what goes on later is flushed now and then, for the power may fail there", async () => {
  const asked = await put(0, true);
  const flushes = asked.flatMap((one, index) => (one === "flush" ? [asked.slice(0, index).at(-1)] : []));
  expect(flushes.map((last) => Math.ceil(Number(last) / mib))).toEqual([16, 32, 48, 60]);
});

test("nothing is trusted that may not have been flushed", async () => {
  const first = async (...args: Parameters<typeof put>): Promise<unknown> =>
    (await put(...args)).find((one) => one !== "flush");
  expect(await first(50 * mib, true)).toBe(30 * mib);
  expect(await first(10 * mib, true)).toBe(0);
  expect(await first(50 * mib, false)).toBe(0);
});
