import { text } from "node:stream/consumers";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import type { CacheFolder } from "../../src/static/cache-folder.js";
import { createLocalFolder } from "../../src/static/local-folder.js";
import { openSteadily } from "../../src/static/steady-folder.js";
import { TetherError } from "../../src/util/errors.js";
import { temporaryFolder } from "../support/temp-folder.js";

const { signal } = new AbortController();
const cut = (): TetherError => new TetherError("cache-unreachable", "the link was cut");

/** Links to one folder, of which each lives for as many calls as told, or does not come about. */
function links(lives: readonly (number | TetherError)[]): {
  open: () => Promise<CacheFolder>;
  opened: () => number;
} {
  const real = createLocalFolder(temporaryFolder());
  let opened = 0;
  const open = async (): Promise<CacheFolder> => {
    const life = lives[opened++] ?? new TetherError("absent", "no more links");
    if (life instanceof TetherError) throw life;
    let calls = 0;
    const alive = (): void => {
      if (calls++ >= life) throw cut();
    };
    return {
      ...real,
      list: async (...args) => (alive(), real.list(...args)),
      stat: async (...args) => (alive(), real.stat(...args)),
      create: async (...args) => {
        const made = await real.create(...args);
        alive();
        return made;
      },
      put: async (name, content, options) => {
        await real.put(name, content, options);
        alive();
      },
      openRead: (...args) => {
        const whole = real.openRead(...args);
        return Readable.from(
          (async function* () {
            for await (const piece of whole as AsyncIterable<Buffer>)
              for (const byte of piece) {
                alive();
                yield Buffer.from([byte]);
              }
          })(),
        );
      },
    };
  };
  return { open, opened: () => opened };
}

test("what a cut interrupts is done again, by one new link for all", async () => {
  const { open, opened } = links([0, new TetherError("unreachable", "not yet"), 100]);
  const folder = await openSteadily({ open, signal, patienceMs: 10_000 });
  let bytes = 0;
  const puts = ["a", "b", "c"].map((name) =>
    folder.put(name, Buffer.from(name), { signal, onBytes: (more) => (bytes += more) }),
  );
  await Promise.all(puts);
  expect(bytes).toBe(3);
  expect((await folder.list("", signal)).map(({ name }) => name).toSorted()).toEqual(["a", "b", "c"]);
  expect(opened()).toBe(3);
});

test("what was made is ours also where the answer was lost", async () => {
  const { open } = links([0, 100]);
  const folder = await openSteadily({ open, signal, patienceMs: 10_000 });
  expect(await folder.create("lock", Buffer.from("mine"), signal)).toBe(true);
  expect(await folder.create("lock", Buffer.from("other"), signal)).toBe(false);
});

test("a file that is read goes on where it was", async () => {
  const { open } = links([1, 5, 100]);
  const folder = await openSteadily({ open, signal, patienceMs: 10_000 });
  await folder.put("x", Buffer.from("0123456789"), { signal });
  expect(await text(folder.openRead("x", signal))).toBe("0123456789");
});

test("it is given up when nothing succeeds for long, and at once for what does not pass", async () => {
  const gone = links([0]);
  const folder = await openSteadily({ open: gone.open, signal, patienceMs: 300 });
  await expect(folder.list("", signal)).rejects.toMatchObject({ code: "absent" });
  const refused = links([0, new TetherError("host-key-changed", "a stranger"), 100]);
  const other = await openSteadily({ open: refused.open, signal, patienceMs: 10_000 });
  await expect(other.list("", signal)).rejects.toMatchObject({ code: "host-key-changed" });
  await expect(openSteadily({ ...links([]), signal, patienceMs: 10_000 })).rejects.toMatchObject({
    code: "absent",
  });
});

test("what was cut between its making and its writing is ours; what is empty of somebody else is not", async () => {
  const real = createLocalFolder(temporaryFolder());
  let cuts = 0;
  const open = async (): Promise<CacheFolder> => ({
    ...real,
    create: async (name, content, ...rest) => {
      if (cuts > 0) return real.create(name, content, ...rest);
      cuts += 1;
      await real.create(name, Buffer.alloc(0), ...rest);
      throw cut();
    },
  });
  const folder = await openSteadily({ open, signal, patienceMs: 10_000 });
  expect(await folder.create("lock", Buffer.from("mine"), signal)).toBe(true);
  expect((await real.read("lock", 100, signal))?.toString()).toBe("mine");
  await real.create("theirs", Buffer.alloc(0), signal);
  expect(await folder.create("theirs", Buffer.from("mine"), signal)).toBe(false);
});

test.each(["put", "touch", "remove"] as const)(
  "whether %s may be done is asked again after a cut",
  async (call) => {
    const real = createLocalFolder(temporaryFolder());
    await real.put("x", Buffer.from("theirs"), { signal });
    const before = await real.stat("x", signal);
    let may = true;
    const slept = async (): Promise<never> => {
      may = false;
      throw cut();
    };
    const folders = [{ ...real, put: slept, touch: slept, remove: slept }, real];
    const open = async (): Promise<CacheFolder> => folders.shift() ?? real;
    const folder = await openSteadily({ open, signal, patienceMs: 10_000 });
    const check = (): void => {
      if (!may) throw new Error("no more");
    };
    const done = {
      put: async () => folder.put("x", Buffer.from("ours"), { signal, check }),
      touch: async () => folder.touch("x", 1_000_000, signal, check),
      remove: async () => folder.remove("x", signal, check),
    };
    await expect(done[call]()).rejects.toThrow("no more");
    expect(await real.stat("x", signal)).toEqual(before);
    expect((await real.read("x", 100, signal))?.toString()).toBe("theirs");
  },
);
