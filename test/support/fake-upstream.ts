// An upstream made of a few paths in memory, which tests may slow down, stop or break at a given byte.

import { createHash } from "node:crypto";
import { Readable } from "node:stream";

import type { PathInfo } from "../../src/protocol/path-info.js";
import type { Upstream } from "../../src/upstream/upstream.js";
import { nix32FromHex } from "../../src/protocol/nix32.js";
import { TetherError } from "../../src/util/errors.js";

export interface FakePath {
  readonly info: PathInfo;
  readonly nar: Buffer;
  readonly hashPart: string;
  /** `nar/<hash>-<narhash>.nar` */
  readonly narUrl: string;
}

/** A path whose NAR is `nar`; `letter` makes its hash part. */
export function fakePath(
  letter: string,
  nar: Buffer | string = `nar of ${letter}`,
  info: Partial<PathInfo> = {},
): FakePath {
  const bytes = Buffer.from(nar);
  const hashPart = letter.repeat(32);
  const narHash = createHash("sha256").update(bytes).digest("hex");
  return {
    hashPart,
    nar: bytes,
    narUrl: `nar/${hashPart}-${nix32FromHex(narHash)}.nar`,
    info: {
      path: `/nix/store/${hashPart}-thing`,
      narHash,
      narSize: bytes.length,
      references: [],
      deriver: null,
      signatures: ["test-1:c2lnbmF0dXJl"],
      ca: null,
      ...info,
    },
  };
}

/** See each field; all may be changed at any time. */
export interface FakeUpstream extends Upstream {
  readonly paths: Map<string, FakePath>;
  /** Hash parts asked for, in order. */
  readonly asked: string[];
  /** Each list of hash parts that was asked for at once. */
  readonly checked: string[][];
  /** Waited for before each answer to a lookup. */
  beforeLookup: () => Promise<void>;
  /** Waited for before a NAR is opened. */
  beforeNar: () => Promise<void>;
  /** NARs end with an error in front of this byte. */
  breakAt: number;
  /** Each NAR stream ends with an error after so many bytes. */
  breakAfter: number;
  /** Whether a NAR can begin in its middle. */
  seeks: boolean;
  /** NARs give no byte from this one on. */
  stallAt: number;
  /** NARs opened, finished or not. */
  opened: number;
  /** NAR streams not yet destroyed or read to the end. */
  open: number;
  /** Bytes taken out of NARs. */
  bytesRead: number;
}

/** An upstream that holds `paths`. */
export function fakeUpstream(...paths: FakePath[]): FakeUpstream {
  const fake: FakeUpstream = {
    paths: new Map(paths.map((path) => [path.hashPart, path])),
    asked: [],
    checked: [],
    beforeLookup: async () => undefined,
    beforeNar: async () => undefined,
    breakAt: Infinity,
    breakAfter: Infinity,
    seeks: true,
    stallAt: Infinity,
    opened: 0,
    open: 0,
    bytesRead: 0,
    async queryByHashPart(hashPart) {
      fake.asked.push(hashPart);
      await fake.beforeLookup();
      return fake.paths.get(hashPart)?.info ?? null;
    },
    async findPresent(hashParts) {
      fake.checked.push([...hashParts]);
      await fake.beforeLookup();
      return hashParts.filter((hashPart) => fake.paths.has(hashPart));
    },
    async openNar(info) {
      await fake.beforeNar();
      const path = [...fake.paths.values()].find((candidate) => candidate.info.path === info.path);
      if (path === undefined) throw new TetherError("not-valid", `${info.path} is not valid`);
      return narStream(fake, path.nar, 0);
    },
    async openNarFrom(info, from, signal) {
      if (!fake.seeks) return { stream: await fake.openNar(info, signal), begins: 0 };
      await fake.beforeNar();
      const path = [...fake.paths.values()].find((candidate) => candidate.info.path === info.path);
      return { stream: narStream(fake, path?.nar ?? Buffer.alloc(0), from), begins: from };
    },
    close: () => undefined,
  };
  return fake;
}

function narStream(fake: FakeUpstream, nar: Buffer, from: number): Readable {
  let at = from;
  fake.opened += 1;
  fake.open += 1;
  return new Readable({
    read() {
      const end = Math.min(fake.breakAt, from + fake.breakAfter);
      if (at >= end) {
        this.destroy(new Error("the link is lost"));
        return;
      }
      if (at >= fake.stallAt) return;
      const piece = nar.subarray(at, Math.min(at + 65_536, end, fake.stallAt));
      at += piece.length;
      fake.bytesRead += piece.length;
      this.push(piece.length === 0 ? null : piece);
    },
    destroy(error, done) {
      fake.open -= 1;
      done(error);
    },
  });
}
