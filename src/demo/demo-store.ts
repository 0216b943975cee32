// What the demo needs of the far machine's store, whether a real Nix or code in this process keeps it.

import type { Duplex } from "node:stream";

/** A small store with two paths to fetch and one that is asked for only while the machine is away. */
export interface DemoStore {
  /** Who answers, for people: "Nix 2.31.2" or the like. */
  readonly label: string;
  /** A path that refers to `album`. */
  readonly letter: string;
  readonly album: string;
  readonly postcard: string;
  /** What every path is signed with, as Nix's `trusted-public-keys` wants it. */
  readonly publicKey: string;
  /** Answers one conversation with the nix-daemon on this stream and owns the stream's errors. */
  serve(stream: Duplex): void;
  /** Ends all conversations. Idempotent. */
  close(): Promise<void>;
}

/** The contents, the same in both kinds of store. */
export const contents = {
  letter: (album: string): string => `Dear laptop,\nthe pictures are in ${album}.\nYours, Pi\n`,
  postcard: "Wish you were here.\n",
  pictures: 3,
  /** Bytes of one picture: enough to be more than one packet, little enough to be quick anywhere. */
  pictureBytes: 1 << 20,
};

/** The bytes of picture `index`: not compressible to nothing, and the same every time. */
export function picture(index: number): Buffer {
  const bytes = Buffer.alloc(contents.pictureBytes);
  let state = index + 1;
  for (let at = 0; at < bytes.length; at += 4) {
    // xorshift32, as good as any for pictures of nothing.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state, at);
  }
  return bytes;
}
