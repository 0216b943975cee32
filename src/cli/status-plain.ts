// The status in sentences, a line for each cache and each warning: for screen readers, and terminals that can not draw.

import { hitRate, isUsed, type CacheFacts, type StatusFacts } from "./status-facts.js";
import { bytes, counted, spokenDuration } from "./words.js";

/** `now` is in milliseconds since the epoch. */
export function plainStatus({ caches, remarks, warnings }: StatusFacts, now: number): string[] {
  if (caches.length === 0) return ["No caches are configured."];
  return [
    ...caches.map((cache) => cacheSentences(cache, now)),
    ...remarks.map(sentence),
    ...warnings.map((text) => sentence(`Warning: ${text}`)),
  ];
}

function cacheSentences({ name, status, cells, notes }: CacheFacts, now: number): string {
  const since = spokenDuration(now - Date.parse(status.since));
  return [
    `${name} is ${status.state} for ${since}, at ${cells.where}.`,
    cells.listed === "yes" ? "Nix uses it." : `Nix does not use it${cells.listed.replace(/^no/, "")}.`,
    ...(isUsed(status)
      ? [
          `It has given ${status.hits} of ${counted(status.lookups, "path")} that it was asked for, ${hitRate(status)} percent, ` +
            `${bytes(status.narBytes)} in all.`,
        ]
      : ["It has given nothing yet."]),
    ...notes.map((note) => sentence(note.slice(0, 1).toUpperCase() + note.slice(1))),
  ].join(" ");
}

function sentence(text: string): string {
  return /[.!?`)]$/.test(text) ? text : `${text}.`;
}
