// What a daemon leaves to the next one about its caches' URLs: which are in use, and what was denied under them.

import { readFileSync, statSync } from "node:fs";
import type { Logger } from "pino";
import { noDenials, type DenialsSnapshot } from "../decision/denials.js";
import { firstGenerations, generationCount, type Generations } from "../decision/generation.js";
import { isHashPart } from "../protocol/store-path.js";
import { messageOf } from "../util/errors.js";
import { writeStateFile } from "../util/state-file.js";

/** One cache, as it is saved. */
export interface SavedGenerations extends Generations, DenialsSnapshot {}

/** By the cache's name. */
export type Saved = Readonly<Record<string, SavedGenerations>>;

/** Of a cache that nothing is known of. */
export const nothingSaved: SavedGenerations = { ...firstGenerations(), ...noDenials };

/** A few thousand denials of some fifty bytes for each cache: more than this is no file of ours. */
const mostBytes = 64 * 1024 * 1024;

/**
 * What the file holds; nothing where there is none. A damaged file is logged, and counts for nothing: then Nix may
 * remember a "not here" that nobody takes back.
 */
export function readGenerations(file: string, log: Logger): Saved {
  try {
    if (statSync(file).size > mostBytes) throw new Error("it is too large");
    return parseGenerations(readFileSync(file, "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    log.warn(
      { path: file, reason: messageOf(error) },
      "the record of the caches' URLs can not be used; starting anew",
    );
    return {};
  }
}

/** @throws Error that says what is wrong. */
export function parseGenerations(text: string): Saved {
  const content: unknown = JSON.parse(text);
  if (!isRecord(content) || content["version"] !== 1) throw new Error("it is of no known version");
  const { caches } = content;
  if (!isRecord(caches)) throw new Error("it names no caches");
  const entries = Object.entries(caches).map(([name, value]) => {
    if (!isSaved(value)) throw new Error(`what it says of ${name} makes no sense`);
    const { current, lastUsed, denied, lost } = value;
    return [name, { current, lastUsed, denied, lost }] as const;
  });
  return Object.fromEntries(entries);
}

export function formatGenerations(saved: Saved): string {
  return `${JSON.stringify({ version: 1, caches: saved })}\n`;
}

/**
 * Replaces the file as a whole, and makes its folder where it is missing.
 * @throws TetherError `state-unwritable`
 */
export async function writeGenerations(file: string, saved: Saved): Promise<void> {
  await writeStateFile(file, formatGenerations(saved), "what Nix was told");
}

function isSaved(value: unknown): value is SavedGenerations {
  if (!isRecord(value)) return false;
  const { current, lastUsed, denied, lost } = value;
  return (
    isGeneration(current) &&
    Array.isArray(lastUsed) &&
    lastUsed.length === generationCount &&
    lastUsed.every(isTime) &&
    Array.isArray(denied) &&
    denied.every(isDenial) &&
    isTime(lost)
  );
}

function isDenial(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [hashPart, at] = value as unknown[];
  return typeof hashPart === "string" && isHashPart(hashPart) && isTime(at);
}

function isGeneration(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < generationCount;
}

function isTime(value: unknown): boolean {
  return Number.isFinite(value) && Number(value) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
