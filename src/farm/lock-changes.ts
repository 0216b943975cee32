// What an update has changed in a flake.lock. Pure.

import { withoutPasswords } from "./passwords.js";

/** What an input is locked to. */
export interface LockedInput {
  /** As a flake URL, such as `github:NixOS/nixpkgs/0a1b…`; for what follows another input, `follows a/b`. */
  readonly url: string;
  /** The commit, in full; null where the input is none. */
  readonly rev: string | null;
  /** When it was last changed, in milliseconds since the epoch. */
  readonly date: number | null;
}

/** `from` is null for a new input, `to` for one that is gone. */
export interface LockChange {
  /** With the inputs that lead to it: `home-manager/nixpkgs`. */
  readonly input: string;
  readonly from: LockedInput | null;
  readonly to: LockedInput | null;
}

type Inputs = ReadonlyMap<string, LockedInput>;

interface Node {
  readonly inputs?: Readonly<Record<string, string | readonly string[]>>;
  readonly locked?: Readonly<Record<string, unknown>>;
}

/** No flake's inputs are nested as deep; a lock file that goes in circles ends there. */
const maxDepth = 16;
const maxInputs = 10_000;

/**
 * The texts of two lock files, null where there is none; in the order of the inputs' names. One that can not be read counts
 * as empty.
 */
export function lockChanges(before: string | null, after: string | null): LockChange[] {
  const old = lockedInputs(before);
  const now = lockedInputs(after);
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  return names
    .map((input) => ({ input, from: old.get(input) ?? null, to: now.get(input) ?? null }))
    .filter(({ from, to }) => from?.url !== to?.url || from?.rev !== to?.rev);
}

/** As Nix itself says it: for a commit's message. */
export function lockChangesText(changes: readonly LockChange[]): string {
  return changes
    .flatMap(({ input, from, to }) => {
      if (from === null && to !== null) return [`• Added input '${input}':`, `    ${quoted(to)}`];
      if (to === null) return [`• Removed input '${input}'`];
      return [`• Updated input '${input}':`, `    ${quoted(from)}`, `  → ${quoted(to)}`];
    })
    .join("\n");
}

function quoted(input: LockedInput | null): string {
  if (input === null) return "";
  const day = input.date === null ? "" : ` (${new Date(input.date).toISOString().slice(0, 10)})`;
  return `'${input.url}'${day}`;
}

function lockedInputs(text: string | null): Inputs {
  const found = new Map<string, LockedInput>();
  const { nodes = {}, root = "root" } = parse(text);
  const visit = (name: string, path: readonly string[]): void => {
    if (path.length > maxDepth || found.size > maxInputs) return;
    for (const [input, target] of Object.entries(nodes[name]?.inputs ?? {})) {
      const here = [...path, input];
      if (typeof target !== "string") {
        found.set(here.join("/"), { url: `follows ${target.join("/")}`, rev: null, date: null });
        continue;
      }
      found.set(here.join("/"), lockedInput(nodes[target]?.locked ?? {}));
      visit(target, here);
    }
  };
  visit(root, []);
  return found;
}

function parse(text: string | null): { nodes?: Record<string, Node>; root?: string } {
  try {
    const parsed: unknown = JSON.parse(text ?? "{}");
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

function lockedInput(locked: Readonly<Record<string, unknown>>): LockedInput {
  const { lastModified, rev } = locked;
  return {
    url: withoutPasswords(urlOf(locked)),
    rev: typeof rev === "string" ? rev : null,
    date: typeof lastModified === "number" ? lastModified * 1000 : null,
  };
}

/** As Nix writes it, but for the order of the parameters. */
function urlOf(locked: Readonly<Record<string, unknown>>): string {
  const word = (key: string): string => (typeof locked[key] === "string" ? locked[key] : "");
  const type = word("type");
  if (["github", "gitlab", "sourcehut"].includes(type)) {
    return `${type}:${word("owner")}/${word("repo")}/${word("rev") || word("ref")}`;
  }
  const parameters = ["dir", "host", "ref", "rev", "narHash"]
    .filter((key) => word(key) !== "" && !(key === "narHash" && word("rev") !== ""))
    .map((key) => `${key}=${word(key)}`);
  const place = word("url") || word("path") || word("id");
  const scheme = type === "git" || type === "hg" ? `${type}+` : type === "path" ? "path:" : "";
  return `${scheme}${place}${parameters.length === 0 ? "" : `?${parameters.join("&")}`}`;
}
