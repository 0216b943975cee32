import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { pino } from "pino";
import { expect, test } from "vitest";
import { aesThere } from "../../src/link/processors.js";
import { openProcessors } from "../../src/link/processors-file.js";
import { fingerprint } from "../../src/link/host-key.js";
import type { KnownKey } from "../../src/link/known-hosts.js";
import type { SshLink } from "../../src/link/link.js";
import { eventually } from "../support/eventually.js";
import { temporaryFolder } from "../support/temp-folder.js";

const log = pino({ level: "silent" });
const pi4 = "processor\t: 0\nFeatures\t: fp asimd crc32\n";
const knownKey = (text: string): KnownKey => ({
  marker: "key",
  type: "ssh-ed25519",
  blob: Buffer.from(text).toString("base64"),
  exact: true,
});
const chosen = { ciphers: null };

/** A link to the machine with this host key, whose commands print `output`. */
function linkTo(key: string, output: string | Error) {
  const asked: string[] = [];
  let end: (error: Error) => void = () => undefined;
  const link = {
    hostKey: fingerprint(Buffer.from(key)),
    exec: async (command: string) => {
      asked.push(command);
      if (output instanceof Error) throw output;
      return Readable.from([Buffer.from(output)]);
    },
    closed: new Promise<Error>((resolve) => (end = resolve)),
  } as unknown as SshLink;
  return { link, asked, close: () => end(new Error("closed")) };
}

test("a machine without AES is learnt once, and remembered by its host key", async () => {
  const file = path.join(temporaryFolder(), "state/processors.json");
  const processors = openProcessors({ file, log, here: true, afterMs: 0 });
  const first = (key: string, from = processors) => from.ciphersFor(chosen, [knownKey(key)])[0];
  expect(first("pi")).toBe("aes128-gcm@openssh.com");
  const { link, asked } = linkTo("pi", pi4);
  processors.learn(link, () => aesThere(link));
  await eventually("the file", () => existsSync(file));
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ version: 1, aes: { [link.hostKey]: false } });
  processors.learn(link, () => aesThere(link));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(asked).toHaveLength(1);
  const next = openProcessors({ file, log, here: true });
  for (const one of [processors, next]) {
    expect(first("pi", one)).toBe("chacha20-poly1305@openssh.com");
    expect(first("another key", one)).toBe("aes128-gcm@openssh.com");
  }
});

test("who does not let us look is not asked again, and nothing is known", async () => {
  const file = path.join(temporaryFolder(), "processors.json");
  const processors = openProcessors({ file, log, here: true, afterMs: 0 });
  for (const output of [new Error("forbidden"), "This account is restricted.\n", "x".repeat(100_000)]) {
    const key = String(output).slice(0, 20);
    const { link, asked } = linkTo(key, output);
    processors.learn(link, () => aesThere(link));
    await eventually("the question", () => asked.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    processors.learn(link, () => aesThere(link));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toHaveLength(1);
    expect(processors.ciphersFor(chosen, [knownKey(key)])[0]).toBe("aes128-gcm@openssh.com");
  }
  expect(() => readFileSync(file)).toThrow("ENOENT");
});

test("a link that broke in the middle of the question has refused nothing", async () => {
  const file = path.join(temporaryFolder(), "processors.json");
  const processors = openProcessors({ file, log, here: true, afterMs: 0 });
  const broken = linkTo("pi", new Error("the link was lost"));
  processors.learn(broken.link, async () => {
    broken.close();
    await broken.link.closed;
    return aesThere(broken.link);
  });
  await eventually("the question", () => broken.asked.length === 1);
  const { link } = linkTo("pi", pi4);
  await eventually("the file", () => {
    processors.learn(link, () => aesThere(link));
    return existsSync(file);
  });
});

test("another processor with the same host key is noticed at the next start", async () => {
  const file = path.join(temporaryFolder(), "state/processors.json");
  const { link } = linkTo("pi", pi4);
  openProcessors({ file, log, here: true, afterMs: 0 }).learn(link, () => aesThere(link));
  await eventually("the file", () => existsSync(file));
  const next = openProcessors({ file, log, here: true, afterMs: 0 });
  const { link: other } = linkTo("pi", "Features\t: fp asimd aes\n");
  next.learn(other, () => aesThere(other));
  await eventually("the change", () => readFileSync(file, "utf8").includes("true"));
  expect(next.ciphersFor(chosen, [knownKey("pi")])[0]).toBe("aes128-gcm@openssh.com");
});

test("a link that has ended is not asked", async () => {
  const file = path.join(temporaryFolder(), "processors.json");
  const processors = openProcessors({ file, log, here: true, afterMs: 30 });
  const { link, asked, close } = linkTo("pi", pi4);
  processors.learn(link, () => aesThere(link));
  close();
  await new Promise((resolve) => setTimeout(resolve, 80));
  expect(asked).toEqual([]);
});

test.each(["", "{", "[]", '{"aes":1}', '{"aes":{"SHA256:x":"no"}}'])(
  "a file with %j does no harm",
  (text) => {
    const folder = temporaryFolder();
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, "processors.json");
    writeFileSync(file, text);
    const processors = openProcessors({ file, log, here: false });
    expect(processors.ciphersFor(chosen, [])[0]).toBe("chacha20-poly1305@openssh.com");
  },
);
