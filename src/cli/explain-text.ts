// An explanation as text for a person. Pure: the facts, the time and the width decide every character.

import type { ExplainedCache, Explanation } from "../explain/explain.js";
import { printable } from "../util/printable.js";
import { presentWords, requestWords, verdictWords } from "./explain-words.js";
import { duration, wrapped } from "./words.js";

/** The latest requests tell the story; the others are in the JSON. */
const mostRequests = 5;

/** `now` is in milliseconds since the epoch; lines may be of any length where `width` is Infinity. */
export function explainText(
  explanation: Explanation,
  { now, width }: { readonly now: number; readonly width: number },
): string {
  const { caches, hashPart, path } = explanation;
  const lines = [
    ...wrapped("", printable(path ?? `${hashPart}-…`), width),
    ...caches.flatMap((cache) => ["", ...cacheLines(cache, explanation, now, width)]),
    ...(caches.length === 0 ? ["", "No caches are configured."] : []),
    "",
    ...wrapped("Here: ", hereWords(explanation), width),
    ...otherLines(explanation, width),
  ];
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}

function cacheLines(cache: ExplainedCache, explanation: Explanation, now: number, width: number): string[] {
  const { facts } = cache;
  const { text, remedy } = verdictWords(cache, explanation.path, now);
  const { requests, since } = facts.memory;
  const asked = requests.slice(0, mostRequests);
  const remembered = duration(now - Date.parse(since));
  const more = requests.length - asked.length;
  return [
    ...wrapped(`${facts.name}: `, printable(text), width),
    ...(remedy === null ? [] : wrapped("  → ", printable(remedy), width)),
    ...wrapped("  Now: ", printable(presentWords(cache)), width),
    ...(asked.length === 0 ? [] : wrapped("  ", `Asked in the last ${remembered}, the latest first:`, width)),
    ...asked.flatMap((request) => wrapped("    ", requestWords(request, now), width)),
    ...(more > 0 ? [`    and ${more} more`] : []),
  ];
}

function hereWords({ local, path }: Explanation): string {
  if (path === null) return "nobody knows a path that begins so";
  if (local === null) return "Nix can not be asked";
  if (!local.present) return "not in the store";
  const signed =
    local.signers.length === 0 ? "unsigned" : `signed by ${local.signers.map(printable).join(", ")}`;
  return `in the store, ${local.builtHere ? "built here" : "fetched or added"}, ${signed}`;
}

/** Of Nix's other caches those that matter: the ones that are asked before one of ours. */
function otherLines({ nix, caches }: Explanation, width: number): string[] {
  if (nix === null)
    return wrapped("", "Nix does not tell its settings, so its keys and other caches are not known.", width);
  const last = Math.max(...caches.map(({ facts }) => facts.memory.priority), 0);
  return nix.others
    .filter(({ priority }) => priority !== null && priority < last)
    .flatMap(({ url, priority, has }) => {
      const said = has === null ? "gave no answer" : has ? "has it" : "does not have it";
      return wrapped("", `Asked before: ${printable(url)} (priority ${priority}) ${said}`, width);
    });
}
