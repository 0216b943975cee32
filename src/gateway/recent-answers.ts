// The latest answers of one cache, for whoever asks later why a path was or was not fetched. A ring of fixed bytes: the
// newest answer takes the place of the oldest, and nothing of it is left to the garbage collector.

/**
 * What a request came to. For a narinfo: `told` as the machine says, or from memory while it could not be asked; `absent` as
 * the machine says; `away`, for there was no machine to ask; `failed`, for it gave no answer that could be passed on, or not in
 * time. For a NAR: `sent` as far as it was asked for; `cut` in the middle and given up; `left` by the client; or not here, for
 * it was cut a moment before, the machine was away, does not have this NAR, or did not begin to send it.
 */
export type Outcome =
  | "told"
  | "told-from-memory"
  | "absent"
  | "away"
  | "failed"
  | "sent"
  | "cut"
  | "left"
  | "cut-before"
  | "nar-away"
  | "nar-absent"
  | "nar-failed";

const byteOf: Readonly<Record<Outcome, number>> = {
  told: 0,
  "told-from-memory": 1,
  absent: 2,
  away: 3,
  failed: 4,
  sent: 5,
  cut: 6,
  left: 7,
  "cut-before": 8,
  "nar-away": 9,
  "nar-absent": 10,
  "nar-failed": 11,
};

/** Each at the place of the byte that stands for it. */
export const outcomes = Object.keys(byteOf) as readonly Outcome[];

/** One answer. */
export interface RecentAnswer {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly outcome: Outcome;
  /** The one in the URL of a request for a narinfo, or null. */
  readonly generation: number | null;
  /** Whether what was told carries neither a signature nor a content address. */
  readonly unsigned: boolean;
  /** Bytes of the NAR that were passed on, and the length of all of it; 0 where there are none. */
  readonly bytes: number;
  readonly size: number;
}

export interface RecentAnswers {
  add(hashPart: string, answer: Omit<RecentAnswer, "at">): void;
  /** What is remembered about a path, the newest first. */
  about(hashPart: string): RecentAnswer[];
  /** Everything since then is remembered, in milliseconds since the epoch. */
  readonly since: number;
}

/** Of one answer: 32 for the hash part, 8 each for the time, the bytes and the size, 3 for the rest, 5 unused. */
export const bytesPerAnswer = 64;

const hashLength = 32;
const noGeneration = 255;

/** An empty memory of at most `most` answers, which takes no room until the first. `now` is in milliseconds since the epoch. */
export function createRecentAnswers(most: number, now: () => number): RecentAnswers {
  let ring: Buffer | null = null;
  let added = 0;
  let since = now();

  const read = (from: Buffer, at: number): RecentAnswer => {
    const generation = from.readUInt8(at + 57);
    return {
      at: from.readDoubleLE(at + 32),
      bytes: from.readDoubleLE(at + 40),
      size: from.readDoubleLE(at + 48),
      outcome: outcomes[from.readUInt8(at + 56)] ?? "failed",
      generation: generation === noGeneration ? null : generation,
      unsigned: from.readUInt8(at + 58) === 1,
    };
  };

  return {
    get since() {
      return since;
    },
    add(hashPart, answer) {
      ring ??= Buffer.alloc(most * bytesPerAnswer);
      const at = (added % most) * bytesPerAnswer;
      if (added >= most) since = ring.readDoubleLE(at + 32);
      added += 1;
      ring.write(hashPart.slice(0, hashLength).padEnd(hashLength), at, "latin1");
      ring.writeDoubleLE(now(), at + 32);
      ring.writeDoubleLE(answer.bytes, at + 40);
      ring.writeDoubleLE(answer.size, at + 48);
      ring.writeUInt8(byteOf[answer.outcome], at + 56);
      ring.writeUInt8(answer.generation ?? noGeneration, at + 57);
      ring.writeUInt8(answer.unsigned ? 1 : 0, at + 58);
    },
    about(hashPart) {
      const found: { readonly age: number; readonly answer: RecentAnswer }[] = [];
      if (ring === null || hashPart.length !== hashLength) return [];
      const newest = (added - 1) % most;
      for (let at = ring.indexOf(hashPart, 0, "latin1"); at >= 0;) {
        if (at % bytesPerAnswer === 0) {
          const age = (newest - at / bytesPerAnswer + most) % most;
          found.push({ age, answer: read(ring, at) });
        }
        at = ring.indexOf(hashPart, at + 1, "latin1");
      }
      return found.toSorted((a, b) => a.age - b.age).map(({ answer }) => answer);
    },
  };
}
