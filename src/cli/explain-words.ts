// An explanation in sentences: why a path was or was not fetched from a cache, and what to do next. Pure.

import type { PastRequest } from "../control/path-memory.js";
import type { ExplainedCache } from "../explain/explain.js";
import type { Denied, Trust, Unused } from "../explain/verdict.js";
import { bytes, duration } from "./words.js";

export interface Words {
  readonly text: string;
  /** What to do next, or null where there is nothing to do. */
  readonly remedy: string | null;
}

/** `now` is in milliseconds since the epoch, `path` as far as it is known. */
export function verdictWords(explained: ExplainedCache, path: string | null, now: number): Words {
  const { facts, verdict } = explained;
  const { name } = facts;
  const ago = (request: PastRequest): string => agoWords(request.at, now);
  switch (verdict.kind) {
    case "fetched": {
      const gone = facts.local?.present === false ? " It is not in the store here any more." : "";
      const { request } = verdict;
      const part = request.bytes < request.size ? `the last ${bytes(request.bytes)} of ` : "";
      return words(`Nix fetched it from ${name} ${ago(request)}: ${part}${bytes(request.size)}.${gone}`);
    }
    case "cut":
      return words(
        `Nix began to fetch it from ${name} ${ago(verdict.request)}. The link was lost after ${share(verdict.request)} and was ` +
          `not back in time, so Nix was told to look elsewhere.`,
        `${again(explained)} How long a download waits is gateway.resume-wait.`,
      );
    case "left":
      return words(
        `Nix began to fetch it from ${name} ${ago(verdict.request)}, and wanted no more after ${share(verdict.request)}: it was ` +
          `interrupted, or something else failed.`,
        again(explained),
      );
    case "content-away":
      return words(
        `Nix wanted its content ${ago(verdict.request)}, while ${name} was away.`,
        again(explained),
      );
    case "content-absent":
      return words(
        `Nix wanted its content ${ago(verdict.request)}, as it had been told of it before; ${name} did not have that any more.`,
      );
    case "content-failed":
      return words(
        `Nix wanted its content ${ago(verdict.request)}, and ${name} did not begin to send it.`,
        "The log says why: journalctl --user --unit nix-tether",
      );
    case "ignored":
      return ignoredWords(explained, verdict.trust);
    case "told":
      return words(
        `Nix asked ${ago(verdict.request)}, was told that ${name} has it, and has not asked for its content: it only looked, or ` +
          `something else that it needed was not to be had.`,
      );
    case "absent":
    case "away":
    case "failed":
      return deniedWords(explained, verdict, path, ago(verdict.request));
    case "had-already":
      return words("It is in the store here, so Nix asks nobody for it.");
    case "unused":
      return unusedWords(explained, verdict.why, now);
    case "other-first":
      return words(
        `${verdict.url} is asked first (its priority is ${verdict.priority}, that of ${name} ${facts.memory.priority}), and ` +
          `has it.`,
        `A lower caches.${name}.priority puts ${name} first; root has to allow its URLs anew then.`,
      );
    case "not-asked":
      return words(
        `${notSince(explained, now)} ${facts.local?.builtHere === true ? "It was built here. " : ""}A command asks the caches ` +
          `that there were at its start, and none for a derivation that is to be built here always (allowSubstitutes = ` +
          `false), or with substitute = false.`,
      );
  }
}

/** What the machine says now, and what Nix would make of it. */
export function presentWords({ facts, trust }: ExplainedCache): string {
  const { now } = facts.memory;
  switch (now.kind) {
    case "found":
      return `there, ${bytes(now.info.narSize)}, ${trust === null ? "" : trustWords(trust)}`;
    case "absent":
      return "not there";
    case "failed":
      return `it can not be told (${now.reason})`;
    case "away":
      return `it can not be asked: ${facts.status.state}`;
  }
}

/** One request of the past, as a line of a list. */
export function requestWords(request: PastRequest, now: number): string {
  const under = request.generation === null ? "" : ` (URL ${request.generation})`;
  return `${agoWords(request.at, now)}: ${outcomeWords(request)}${under}`;
}

function outcomeWords(request: PastRequest): string {
  switch (request.outcome) {
    case "told":
      return `asked; it is there${request.unsigned ? ", unsigned" : ""}`;
    case "told-from-memory":
      return "asked; told from memory that it is there, for the machine was briefly away";
    case "absent":
      return "asked; it is not there";
    case "away":
      return "asked; the machine was away";
    case "failed":
      return "asked; no usable answer in time";
    case "sent":
      return `fetched, ${share(request)}`;
    case "cut":
      return `being fetched; cut after ${share(request)}`;
    case "left":
      return `being fetched; Nix left after ${share(request)}`;
    case "cut-before":
      return "asked for its content again; refused, for it had been cut";
    case "nar-away":
      return "asked for its content; the machine was away";
    case "nar-absent":
      return "asked for its content; not there as it was known";
    case "nar-failed":
      return "asked for its content; it was not sent";
  }
}

function trustWords(trust: Trust): string {
  switch (trust.kind) {
    case "accepted":
      return trust.by.length === 0 ? "which Nix takes" : `signed by ${trust.by.join(", ")}, which Nix trusts`;
    case "unsigned":
      return "unsigned, so Nix ignores it";
    case "unknown-keys":
      return `signed by ${trust.names.join(", ")}, which Nix does not trust`;
  }
}

function ignoredWords({ facts }: ExplainedCache, trust: Exclude<Trust, { kind: "accepted" }>): Words {
  const { name, status } = facts;
  if (trust.kind === "unsigned") {
    return words(
      `${name} has it, without a signature, and Nix ignores it.`,
      status.type === "http"
        ? `Have it signed before it is put on ${status.host}: nix store sign --key-file FILE, or a secret-key in what it is ` +
            `copied to.`
        : `On ${status.host}, name a key as secret-key-files in nix.conf, and sign what is there: sudo nix store sign --all ` +
            `--key-file FILE`,
    );
  }
  const [impostor] = trust.impostors;
  if (impostor !== undefined) {
    return words(
      `${name} has it, signed by ${impostor}, but not by the key of that name that Nix knows, and Nix ignores it.`,
      `Compare trusted-public-keys here with the public key on ${status.host}: the key there may have been made anew.`,
    );
  }
  return words(
    `${name} has it, signed by ${trust.names.join(", ")}, which Nix does not know, and Nix ignores it.`,
    `Put the public key of ${trust.names[0]} into trusted-public-keys in /etc/nix/nix.conf, and restart the nix-daemon.`,
  );
}

function deniedWords(explained: ExplainedCache, verdict: Denied, path: string | null, ago: string): Words {
  const { facts } = explained;
  const { name } = facts;
  const why = {
    absent: `${name} did not have it`,
    away: `${name} was away`,
    failed: `${name} gave no usable answer in time`,
  }[verdict.kind];
  const text = `Nix asked ${ago}, and ${why}.`;
  const { now } = facts.memory;
  if (now.kind === "found") {
    return words(
      verdict.kind === "absent" ? `${text} It has it now.` : text,
      rememberedWords(explained, verdict.request),
    );
  }
  if (now.kind !== "absent") return words(text, again(explained));
  const send =
    facts.local?.present === true && path !== null ? `nix-tether enqueue ${path} sends it there.` : null;
  return words(`${text} It ${verdict.kind === "absent" ? "still does not" : "does not have it now"}.`, send);
}

/** Whether Nix would ask again for what it was told is not there. */
function rememberedWords({ facts: { status } }: ExplainedCache, { generation }: PastRequest): string {
  if (generation === null) {
    return "Nix remembers that for an hour, for it takes no other URL of this cache: nix-tether status says what root must allow.";
  }
  if (generation !== status.generation)
    return "Nix is told another URL by now, under which it asks anew: give the command again.";
  return "Nix remembers that for an hour under this URL; nix-tether tells it another one within a minute. Give the command again then.";
}

function unusedWords(explained: ExplainedCache, why: Unused, now: number): Words {
  const { name } = explained.facts;
  const since = notSince(explained, now);
  switch (why.kind) {
    case "paused":
      return words(`${since} You have paused ${name}.`, `nix-tether resume ${name}`);
    case "not-online":
      return words(
        `${since} ${name} is not in reach: ${why.reason}.`,
        "nix-tether status says what is to be done, if anything is.",
      );
    case "not-taken":
      return words(`${since} Nix does not use ${name}. ${why.text}`);
  }
}

function notSince({ facts }: ExplainedCache, now: number): string {
  const since = Date.parse(facts.memory.since);
  return `Nix has not asked ${facts.name} for it in the ${duration(now - since)} that are remembered.`;
}

function again({ facts }: ExplainedCache): string {
  return facts.status.state === "online"
    ? `${facts.name} is online now: give the command again.`
    : `Give the command again when ${facts.name} is online.`;
}

function share({ bytes: count, size }: PastRequest): string {
  return count === size ? `all of ${bytes(size)}` : `${bytes(count)} of ${bytes(size)}`;
}

function agoWords(at: string, now: number): string {
  return `${duration(now - Date.parse(at))} ago`;
}

function words(text: string, remedy: string | null = null): Words {
  return { text, remedy };
}
