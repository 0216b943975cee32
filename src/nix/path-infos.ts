// What the local store knows of paths, as `nix path-info --json` says it, and what follows from it for an upload: pure.

import { z } from "zod";
import { isStorePath } from "../protocol/store-path.js";

/** One path of the local store. */
export interface LocalInfo {
  /** Of its NAR, in bytes. */
  readonly size: number;
  readonly references: readonly string[];
  /** Built here. */
  readonly ultimate: boolean;
  /** The derivation it was built from, where that is known. */
  readonly deriver: string | null;
  /** When it became valid here, in milliseconds since the epoch; Nix knows whole seconds. */
  readonly registeredAt: number;
  readonly signatures: readonly string[];
  /** Its name proves its content, so that it needs no signature. */
  readonly contentAddressed: boolean;
}

export type LocalInfos = ReadonlyMap<string, LocalInfo>;

const infoSchema = z.object({
  narSize: z.number().nonnegative(),
  references: z.array(z.string()).default([]),
  ultimate: z.boolean().nullish(),
  deriver: z.string().nullish(),
  registrationTime: z.number().nonnegative().nullish(),
  signatures: z.array(z.string()).nullish(),
  ca: z.unknown().optional(),
});

/**
 * Takes the output apart: a list up to Nix 2.18, later an object by path. What is not valid is left out.
 * @throws Error where it is neither
 */
export function parsePathInfos(json: string): LocalInfos {
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== "object" || parsed === null) throw new Error("nix path-info said no object");
  const pairs: [unknown, unknown][] = Array.isArray(parsed)
    ? parsed.map((one: unknown) => [(one as { path?: unknown } | null)?.path, one])
    : Object.entries(parsed);
  const infos = new Map<string, LocalInfo>();
  for (const [path, value] of pairs) {
    const info = infoSchema.safeParse(value);
    if (typeof path !== "string" || !isStorePath(path) || !info.success) continue;
    const { deriver = null } = info.data;
    infos.set(path, {
      size: info.data.narSize,
      references: info.data.references,
      ultimate: info.data.ultimate === true,
      deriver: deriver !== null && isStorePath(deriver) ? deriver : null,
      registeredAt: (info.data.registrationTime ?? 0) * 1000,
      signatures: info.data.signatures ?? [],
      contentAddressed: info.data.ca !== undefined && info.data.ca !== null,
    });
  }
  return infos;
}

/** `path` and what it needs, as far as `infos` goes. */
export function closureWithin(path: string, infos: LocalInfos): Set<string> {
  const found = new Set<string>();
  const todo = [path];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (found.has(next) || !infos.has(next)) continue;
    found.add(next);
    todo.push(...(infos.get(next)?.references ?? []));
  }
  return found;
}

/** What is to be signed: what was built here or is queued, and lacks a signature by that key. */
export function toSign(infos: LocalInfos, queued: ReadonlySet<string>, keyName: string): string[] {
  return [...infos]
    .filter(([path, info]) => info.ultimate || queued.has(path))
    .filter(([, { signatures }]) => !signatures.some((one) => one.startsWith(`${keyName}:`)))
    .map(([path]) => path);
}

/**
 * Those that a target refuses as well that has refused `path` for its signatures: their signatures are by the same keys, if
 * any. `keyName` is what all of them are signed with besides.
 */
export function refusedAlike(
  path: string | null,
  paths: readonly string[],
  infos: LocalInfos,
  keyName: string | null,
): string[] {
  const signers = (one: string): string[] =>
    (infos.get(one)?.signatures ?? []).map((signature) => signature.slice(0, signature.indexOf(":")));
  const refused = new Set([...(path === null ? [] : signers(path)), keyName]);
  return paths.filter((one) => {
    const info = infos.get(one);
    return info !== undefined && !info.contentAddressed && signers(one).every((name) => refused.has(name));
  });
}
