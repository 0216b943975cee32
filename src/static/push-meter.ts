// How far a push has come. Sizes are those of NARs, for how large they are compressed is not known before.

import type { LocalInfos } from "../nix/path-infos.js";

export interface PushProgress {
  /** `looking`: at what is there already. */
  readonly state: "looking" | "sending";
  /** Why nothing goes at present. */
  readonly waits: "reconnecting" | null;
  readonly paths: { readonly arrived: number; readonly all: number };
  /** Bytes. */
  readonly bytes: { readonly sent: number; readonly all: number };
}

export interface PushMeter {
  looks(): void;
  waits(why: PushProgress["waits"]): void;
  /** These are missing. */
  begins(missing: LocalInfos): void;
  /** So much of the path's NAR has arrived, as a part of the whole, and so many bytes were sent for it; see `PutOptions`. */
  part(path: string, part: number, bytes: number): void;
  arrived(path: string): void;
  result(): { sent: string[]; paths: number; alreadyThere: number; bytes: number; narBytes: number };
}

export function createPushMeter(infos: LocalInfos, onProgress: (progress: PushProgress) => void): PushMeter {
  const sizeOf = (path: string): number => infos.get(path)?.size ?? 0;
  const sum = (paths: Iterable<string>): number =>
    [...paths].reduce((total, path) => total + sizeOf(path), 0);
  const arrived = new Set<string>();
  const parts = new Map<string, number>();
  let state: PushProgress["state"] = "looking";
  let waits: PushProgress["waits"] = null;
  let all = { paths: 0, bytes: 0 };
  /** Of what has arrived, and of the parts of what has not. */
  let narBytes = 0;
  let sentBytes = 0;
  const tell = (): void =>
    onProgress({
      state,
      waits,
      paths: { arrived: arrived.size, all: all.paths },
      bytes: { sent: Math.round(narBytes), all: all.bytes },
    });
  const setPart = (path: string, part: number): void => {
    narBytes += (part - (parts.get(path) ?? 0)) * sizeOf(path);
    parts.set(path, part);
  };
  return {
    looks: () => {
      state = "looking";
      tell();
    },
    waits: (why) => {
      waits = why;
      tell();
    },
    begins: (missing) => {
      state = "sending";
      // A push that begins again finds there what it has sent.
      const paths = new Set([...missing.keys(), ...arrived]);
      for (const path of missing.keys()) {
        arrived.delete(path);
        setPart(path, 0);
      }
      all = { paths: paths.size, bytes: sum(paths) };
      tell();
    },
    part: (path, part, bytes) => {
      sentBytes += bytes;
      setPart(path, Math.min(1, part));
      tell();
    },
    arrived: (path) => {
      setPart(path, 1);
      arrived.add(path);
      tell();
    },
    result: () => ({
      sent: [...arrived],
      paths: arrived.size,
      alreadyThere: infos.size - arrived.size,
      bytes: sentBytes,
      narBytes: sum(arrived),
    }),
  };
}
