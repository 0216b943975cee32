// The uploads to one cache in a sentence, for a person. Pure.

import type { CacheStatus, UploadTargetStatus } from "../control/messages.js";
import { printable } from "../util/printable.js";
import { bytes, bytesOf, counted, speed, timeLeft } from "./words.js";

/** How far a cache is in use. */
type CacheUse = Pick<CacheStatus, "state" | "way">;

/** What is going, what waits and why, what is done; null where there is nothing to tell. */
export function uploadsSentence(target: UploadTargetStatus, cache: CacheUse): string | null {
  const others = [...done(target), ...aside(target)];
  const parts =
    target.state === "copying" ? [...going(target), ...others] : [...others, ...waiting(target, cache)];
  return parts.length === 0 ? null : parts.join("; ");
}

/** The name of a store path without its folder and hash. */
export function shortName(path: string): string {
  return printable(path.replace(/^\/nix\/store\/[0-9a-z]{32}-/, ""));
}

function going({ now, going: copy, rate, left, waiting: count }: UploadTargetStatus): string[] {
  const rest = count > 1 ? [`${counted(count, "path")} to go`] : [];
  if (copy === null) return ["finding out what is to be copied", ...rest];
  const facts = [
    `copying ${now === null ? counted(copy.paths, "path") : shortName(now)}`,
    bytesOf(copy.sent, copy.size),
    ...(rate === null ? [] : [speed(rate)]),
    ...[timeLeft(left, rate)].filter((one) => one !== null),
  ];
  return [facts.join(", "), ...rest];
}

/** Until when what is for a cache that is not in use, or by a way without uploads, waits. */
export function untilUsed(cache: CacheUse | undefined): string {
  if (cache?.way?.uploads === false) return "until it is reached by a way with uploads";
  return cache?.state === "paused" ? "until it is resumed" : "until it is in reach";
}

function waiting({ waiting: count, left, reason, state }: UploadTargetStatus, cache: CacheUse): string[] {
  if (count === 0) return [];
  const what = `${counted(count, "path")}${left > 0 ? ` (${bytes(left)})` : ""}`;
  if (state === "offline") return [`${what} waiting ${untilUsed(cache)}`];
  const why = reason === null ? "" : `: ${printable(reason)}`;
  return [`${what} ${state === "held" ? "held back" : "waiting"}${why}`];
}

function done({ uploaded, bytes: count }: UploadTargetStatus): string[] {
  if (uploaded === 0) return [];
  return [`${counted(uploaded, "path")}${count > 0 ? ` (${bytes(count)})` : ""} done`];
}

function aside({ setAside }: UploadTargetStatus): string[] {
  return setAside === 0 ? [] : [`${setAside} set aside: \`nix-tether queue list\` says why`];
}
