// Follows the framing of a NAR that streams by, to know where it ends. The daemon sends it without a length and
// reports trouble in the middle of it, as a STDERR_ERROR where the NAR's next token should be; a directory that
// lost a file on disk is a sound but shorter NAR. Contents are skipped, never looked at.

import { ProtocolError } from "./errors.js";
import { stderrFrame } from "./stderr.js";
import { encodeString } from "./writer.js";

/** What a piece of the stream was. */
export interface NarStep {
  /**
   * - `more`: the NAR goes on
   * - `end`: it is complete, `rest` is what follows it
   * - `error`: `rest` begins with the word STDERR_ERROR; the NAR will not be completed
   */
  readonly state: "more" | "end" | "error";
  /** The bytes of the NAR, in order. A few may come from an earlier piece; contents are not copied. */
  readonly bytes: readonly Buffer[];
  readonly rest: Buffer;
}

type Token = readonly [encoded: Buffer, next: string];
/** A token out of a few, or a string of any content up to a bound (null: as much as the NAR has room for). */
type State =
  | { readonly kind: "token"; readonly tokens: readonly Token[] }
  | { readonly kind: "skip"; readonly most: number | null; readonly next: string };

const oneOf = (tokens: Record<string, string>): State => ({
  kind: "token",
  tokens: Object.entries(tokens).map(([token, next]) => [encodeString(token), next]),
});
const skip = (most: number | null, next: string): State => ({ kind: "skip", most, next });

// `closed` and `down` are no states: they leave or enter a directory's entry. See `#enter`.
const grammar: Readonly<Record<string, State>> = {
  start: oneOf({ "nix-archive-1": "open" }),
  open: oneOf({ "(": "type" }),
  type: oneOf({ type: "kind" }),
  kind: oneOf({ regular: "regular", directory: "directory", symlink: "symlink" }),
  regular: oneOf({ contents: "contents", executable: "executable", ")": "closed" }),
  executable: oneOf({ "": "executableContents" }),
  executableContents: oneOf({ contents: "contents", ")": "closed" }),
  contents: skip(null, "closing"),
  symlink: oneOf({ target: "target" }),
  target: skip(4096, "closing"),
  closing: oneOf({ ")": "closed" }),
  directory: oneOf({ entry: "entry", ")": "closed" }),
  entry: oneOf({ "(": "nameKey" }),
  nameKey: oneOf({ name: "name" }),
  name: skip(255, "nodeKey"),
  nodeKey: oneOf({ node: "down" }),
  entryClosing: oneOf({ ")": "directory" }),
};

const none: Buffer = Buffer.alloc(0);
/** The longest token, its length word included. */
const longestToken = 8 + 16;
const closeLength = encodeString(")").length;

/** One NAR of exactly `size` bytes; feed it the stream's pieces in order until it says `end` or `error`. */
export class NarFraming {
  readonly #size: number;
  #state = "start";
  #depth = 0;
  #position = 0;
  #skipping = 0;
  /** A token or length whose rest has not arrived. */
  #carry = none;
  #done = false;

  constructor(size: number) {
    this.#size = size;
  }

  /** Whether the daemon began to tell of the path's content: its first node was opened. */
  get begun(): boolean {
    return this.#state !== "start" && this.#state !== "open";
  }

  /** Throws `nar-damaged` when the bytes cannot be a NAR of that size. */
  feed(chunk: Buffer): NarStep {
    if (this.#done) throw new Error("the NAR is over");
    const bytes: Buffer[] = [];
    let at = 0;
    if (this.#carry.length > 0) {
      const joined = Buffer.concat([this.#carry, chunk.subarray(0, longestToken)]);
      const length = this.#item(joined, 0);
      if (length < 0) return { state: "error", bytes, rest: Buffer.concat([this.#carry, chunk]) };
      if (length === 0) {
        this.#carry = joined;
        return { state: "more", bytes, rest: none };
      }
      bytes.push(joined.subarray(0, length));
      at = length - this.#carry.length;
      this.#carry = none;
    }
    const from = at;
    let failed = false;
    while (!this.#done) {
      const skipped = Math.min(this.#skipping, chunk.length - at);
      this.#skipping -= skipped;
      at += skipped;
      const length = this.#item(chunk, at);
      failed = length < 0;
      if (length <= 0) break;
      at += length;
    }
    if (at > from) bytes.push(chunk.subarray(from, at));
    if (failed) return { state: "error", bytes, rest: chunk.subarray(at) };
    if (this.#done) return { state: "end", bytes, rest: chunk.subarray(at) };
    this.#carry = Buffer.from(chunk.subarray(at));
    return { state: "more", bytes, rest: none };
  }

  /** Takes the token or length at `at`: how long it is, 0 while it is incomplete, -1 for an error's beginning. */
  #item(buffer: Buffer, at: number): number {
    if (this.#skipping > 0 || buffer.length - at < 8) return 0;
    const state = grammar[this.#state];
    if (state === undefined) throw new Error(`no state ${this.#state}`);
    const word = buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * 0x1_0000_0000;
    const length = state.kind === "token" ? this.#token(state.tokens, word, buffer, at) : 8;
    if (state.kind === "skip") {
      const padded = word + ((8 - (word % 8)) % 8);
      // What must still follow: the node's own ")", and one for the entry and the directory on each level.
      const closing = closeLength * (1 + 2 * this.#depth);
      const room = this.#size - this.#position - 8 - closing;
      if (padded > room || (state.most !== null && word > state.most)) return this.#unexpected(word);
      this.#skipping = padded;
      this.#position += 8 + padded;
      this.#state = state.next;
    }
    return length;
  }

  #token(tokens: readonly Token[], word: number, buffer: Buffer, at: number): number {
    let incomplete = false;
    for (const [encoded, next] of tokens) {
      if (encoded.readUInt32LE(0) !== word) continue;
      const end = at + encoded.length;
      if (end > buffer.length) incomplete = true;
      else if (buffer.compare(encoded, 0, encoded.length, at, end) === 0) {
        this.#position += encoded.length;
        this.#enter(next);
        return encoded.length;
      }
    }
    return incomplete ? 0 : this.#unexpected(word);
  }

  #enter(next: string): void {
    this.#state = next;
    if (next === "down") {
      this.#depth += 1;
      this.#state = "open";
    } else if (next === "closed" && this.#depth > 0) {
      this.#depth -= 1;
      this.#state = "entryClosing";
    } else if (next === "closed") {
      if (this.#position !== this.#size) {
        const message = `a NAR of ${this.#position} bytes, where ${this.#size} were promised`;
        throw new ProtocolError("nar-damaged", message);
      }
      this.#done = true;
    }
  }

  #unexpected(word: number): -1 {
    if (word === stderrFrame.error) return -1;
    throw new ProtocolError("nar-damaged", `the NAR's framing breaks at byte ${this.#position}`);
  }
}
