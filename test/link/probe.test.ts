import { PassThrough, type Duplex } from "node:stream";
import { expect, it } from "vitest";
import { probe, type ProbeDeps } from "../../src/link/probe.js";
import { delay } from "../../src/util/abort.js";

const info = { protocol: 0x126, nixVersion: "2.31.2", trusted: false };
const megabyte = 2 ** 20;

/** A link whose daemon answers after `answersAfter` ms, and on which `perMs` bytes arrive each millisecond. */
function link(answersAfter: number, perMs = 0): ProbeDeps & { readonly stream: Duplex } {
  const stream = new PassThrough();
  const started = performance.now();
  return {
    stream,
    openDaemon: () => Promise.resolve(stream),
    handshake: async () => {
      await delay(answersAfter);
      return info;
    },
    bytesRead: () => Math.floor((performance.now() - started) * perMs),
  };
}

it("is answered, and leaves nothing open", async () => {
  const deps = link(10);
  expect(await probe(deps, 1_000)).toBe(true);
  await expect.poll(() => deps.stream.destroyed).toBe(true);
});

it("gives up a link on which nothing else arrives", async () => {
  const deps = link(300);
  expect(await probe(deps, 100)).toBe(false);
  await expect.poll(() => deps.stream.destroyed).toBe(true);
});

it("waits longer where the answer stands behind much else, but not for ever", async () => {
  expect(await probe(link(200, megabyte / 10), 100)).toBe(true);
  const started = performance.now();
  expect(await probe(link(2_000, megabyte / 10), 100)).toBe(false);
  expect(performance.now() - started).toBeLessThan(1_500);
});

it("is no answer when the link ends", async () => {
  const gone = { ...link(0), openDaemon: () => Promise.reject(new Error("the link ended")) };
  expect(await probe(gone, 1_000)).toBe(false);
});
