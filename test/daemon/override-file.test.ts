import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import {
  bareCacheUrl,
  cacheUrl,
  createOverrideFile,
  overrideText,
  type OverrideEntry,
  type OverrideFile,
} from "../../src/daemon/override-file.js";
import { silentLog } from "../support/silent-log.js";
import { temporaryFolder } from "../support/temp-folder.js";

const pi: OverrideEntry = {
  name: "pi",
  url: "http://127.0.0.1:37515/pi/3?priority=30",
  publicKeys: ["pi-1:AAAA", "shared-1:CCCC"],
};
const nas: OverrideEntry = {
  name: "nas",
  url: "http://127.0.0.1:37515/nas?priority=35&trusted=true",
  publicKeys: ["shared-1:CCCC"],
};

const header = `# Written by nix-tether: the caches that are in reach at this moment. Changes made here are lost.
# Take it in with this line at the end of nix.conf:  !include nix-tether.conf
`;

function open(file: string): OverrideFile {
  return createOverrideFile({ path: file, log: silentLog });
}

describe("the text", () => {
  test("lists caches and each key once", () => {
    expect(overrideText([pi, nas])).toBe(`${header}extra-substituters = ${pi.url} ${nas.url}
extra-trusted-public-keys = pi-1:AAAA shared-1:CCCC
`);
  });

  test("has no line for keys where there are none, and none at all without caches", () => {
    expect(overrideText([{ ...pi, publicKeys: [] }])).toBe(`${header}extra-substituters = ${pi.url}\n`);
    expect(overrideText([])).toBe(header);
  });

  test.each(["http://a/#b", "http://a b", "http://a\nb", ""])("never holds the value %j", (url) => {
    expect(() => overrideText([{ ...pi, url }])).toThrowError(
      expect.objectContaining({ code: "override-unwritable" }),
    );
    expect(() => overrideText([{ ...pi, publicKeys: [url] }])).toThrow();
  });
});

test("a cache's URL", () => {
  const parts = { port: 37515, name: "pi", generation: 0 };
  expect(bareCacheUrl(parts)).toBe("http://127.0.0.1:37515/pi/0");
  expect(bareCacheUrl({ ...parts, generation: undefined })).toBe("http://127.0.0.1:37515/pi");
  expect(cacheUrl({ ...parts, priority: 30, trusted: false })).toBe(
    "http://127.0.0.1:37515/pi/0?priority=30",
  );
  expect(cacheUrl({ ...parts, generation: 15, priority: 0, trusted: true })).toBe(
    "http://127.0.0.1:37515/pi/15?priority=0&trusted=true",
  );
});

describe("the file", () => {
  test("is made with its folders, read back, emptied and not removed", async () => {
    const file = path.join(temporaryFolder(), "config/nix/nix-tether.conf");
    const override = open(file);
    expect(override.readListed()).toEqual([]);
    await override.write([pi, nas]);
    expect(readFileSync(file, "utf8")).toBe(overrideText([pi, nas]));
    expect(override.readListed()).toEqual(["pi", "nas"]);
    await override.write([]);
    expect(readFileSync(file, "utf8")).toBe(header);
    expect(override.readListed()).toEqual([]);
    expect(readdirSync(path.dirname(file))).toEqual(["nix-tether.conf"]);
  });

  test("is a new file at every change and stays the same file without one", async () => {
    const file = path.join(temporaryFolder(), "nix-tether.conf");
    const override = open(file);
    await override.write([pi]);
    const first = statSync(file).ino;
    await override.write([pi]);
    expect(statSync(file).ino).toBe(first);
    await override.write([pi, nas]);
    expect(statSync(file).ino).not.toBe(first);
  });

  test("is put right after somebody else changed it", async () => {
    const file = path.join(temporaryFolder(), "nix-tether.conf");
    const override = open(file);
    await override.write([pi]);
    writeFileSync(file, "extra-substit");
    await override.write([pi]);
    expect(readFileSync(file, "utf8")).toBe(overrideText([pi]));
  });

  test("holds what was asked for last", async () => {
    const file = path.join(temporaryFolder(), "nix-tether.conf");
    const override = open(file);
    await Promise.all([override.write([pi]), override.write([nas]), override.write([])]);
    expect(override.readListed()).toEqual([]);
    await Promise.all([override.write([]), override.write([pi, nas]), override.write([nas])]);
    expect(override.readListed()).toEqual(["nas"]);
  });

  test("takes the place of a link and leaves the link's target alone", async () => {
    const folder = temporaryFolder();
    const target = path.join(folder, "target");
    writeFileSync(target, "theirs");
    const file = path.join(folder, "nix-tether.conf");
    symlinkSync(target, file);
    await open(file).write([pi]);
    expect(readFileSync(target, "utf8")).toBe("theirs");
    expect(() => readlinkSync(file)).toThrow("EINVAL");
    expect(open(file).readListed()).toEqual(["pi"]);
  });
});

describe("what can not be written", () => {
  test("a folder in its place", async () => {
    const file = path.join(temporaryFolder(), "nix-tether.conf");
    mkdirSync(file);
    expect(open(file).readListed()).toEqual([]);
    await expect(open(file).write([pi])).rejects.toThrowError(
      expect.objectContaining({
        code: "override-unwritable",
        message: `the override ${file} can not be written: it is a folder`,
        remedy: expect.stringContaining(path.dirname(file)) as string,
      }),
    );
    expect(readdirSync(path.dirname(file))).toEqual(["nix-tether.conf"]);
  });

  /** Runs with a folder that nothing can be added to. Root may write anywhere, so root becomes nobody for this moment. */
  async function inReadOnlyFolder(file: string, action: () => Promise<void>): Promise<void> {
    const folder = path.dirname(file);
    chmodSync(folder, 0o555);
    const asRoot = process.getuid?.() === 0;
    if (asRoot && existsSync(file)) chownSync(file, 65534, 65534);
    if (asRoot) process.seteuid?.(65534);
    try {
      await action();
    } finally {
      if (asRoot) process.seteuid?.(0);
      chmodSync(folder, 0o755);
    }
  }

  test("a read-only folder", async () => {
    const file = path.join(temporaryFolder(), "nix-tether.conf");
    await inReadOnlyFolder(file, () =>
      expect(open(file).write([pi])).rejects.toThrowError(
        expect.objectContaining({
          code: "override-unwritable",
          message: expect.stringContaining("EACCES") as string,
        }),
      ),
    );
    expect(existsSync(file)).toBe(false);
  });

  test("a list that can not be replaced is taken out all the same", async () => {
    const file = path.join(temporaryFolder(), "nix-tether.conf");
    const override = open(file);
    await override.write([pi, nas]);
    await inReadOnlyFolder(file, () => expect(override.write([nas])).rejects.toThrow("EACCES"));
    expect(readFileSync(file, "utf8")).toBe("");

    await override.write([pi]);
    await inReadOnlyFolder(file, () => override.write([]));
    expect(override.readListed()).toEqual([]);
  });
});
