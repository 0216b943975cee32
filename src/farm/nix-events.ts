// What `nix build --log-format internal-json` tells while it builds: what is built, fetched, and what the builders print.
// Nix's own front ends for people live on it; the numbers are those of its logging.hh. Pure.

import { printable } from "../util/printable.js";
import { withoutPasswords } from "./passwords.js";

/** Why a derivation was not built, or what else went wrong. */
export interface BuildFailure {
  /** Null where it is not about one derivation. */
  readonly derivation: string | null;
  readonly text: string;
  /** The end of what its builder printed. */
  readonly log: readonly string[];
}

export interface BuildEvents {
  /** To be told of each line of stderr. */
  line(text: string): void;
  /** Derivations that were built, and store paths that were fetched. */
  counts(): { readonly built: number; readonly fetched: number };
  /** What goes on, for a person; null while nothing is known. */
  doing(): string | null;
  failures(): BuildFailure[];
}

const activity = { copyPath: 100, build: 105 } as const;
const result = { logLine: 101, postBuildLogLine: 107 } as const;
const levelError = 0;

const logLines = 30;
const lineLength = 500;
/** Of so many builds that have ended the log is remembered: it may turn out that they have failed. */
const remembered = 64;
const maxFailures = 20;

interface Message {
  readonly action?: string;
  readonly id?: number;
  readonly type?: number;
  readonly level?: number;
  readonly fields?: readonly unknown[];
  readonly msg?: string;
  readonly raw_msg?: string;
}

interface Build {
  readonly derivation: string;
  readonly log: string[];
}

export function createBuildEvents(): BuildEvents {
  const running = new Map<number, Build>();
  const fetching = new Map<number, string>();
  /** By derivation, the oldest first. */
  const ended = new Map<string, readonly string[]>();
  const errors: string[] = [];
  const counts = { built: 0, fetched: 0 };

  const start = ({ id = 0, type, fields = [] }: Message): void => {
    const what = firstWord(fields);
    if (type === activity.build) running.set(id, { derivation: what, log: [] });
    else if (type === activity.copyPath) fetching.set(id, what);
  };
  const stop = (id: number): void => {
    const build = running.get(id);
    if (build !== undefined) {
      counts.built++;
      ended.delete(build.derivation);
      ended.set(build.derivation, build.log);
      const [oldest] = ended.keys();
      if (ended.size > remembered && oldest !== undefined) ended.delete(oldest);
    } else if (fetching.has(id)) counts.fetched++;
    running.delete(id);
    fetching.delete(id);
  };
  const print = ({ id = 0, type, fields = [] }: Message): void => {
    const log = running.get(id)?.log;
    if (log === undefined || (type !== result.logLine && type !== result.postBuildLogLine)) return;
    log.push(printable(firstWord(fields)).slice(0, lineLength));
    if (log.length > logLines) log.shift();
  };
  const message = ({ level, raw_msg: raw, msg = "" }: Message): void => {
    if (level === levelError && errors.length < maxFailures) errors.push(raw ?? msg);
  };

  return {
    line: (text) => {
      if (!text.startsWith("@nix ")) return;
      const told = parse(text.slice("@nix ".length));
      if (told.action === "start") start(told);
      else if (told.action === "stop") stop(told.id ?? 0);
      else if (told.action === "result") print(told);
      else if (told.action === "msg") message(told);
    },
    counts: () => {
      // A build that fails is none; its derivation is named in the error.
      const failed = new Set(errors.map(derivationIn).filter((one) => one !== null && ended.has(one)));
      return { ...counts, built: counts.built - failed.size };
    },
    doing: () => {
      const [build] = running.values();
      if (build !== undefined) {
        const more = running.size > 1 ? ` and ${running.size - 1} more` : "";
        return `builds ${nameOf(build.derivation)}${more}`;
      }
      const [path] = fetching.values();
      return path === undefined ? null : `fetches ${nameOf(path)}`;
    },
    failures: () =>
      errors.map((error) => {
        const derivation = derivationIn(error);
        const log = derivation === null ? [] : (ended.get(derivation) ?? []);
        return {
          derivation,
          text: withoutPasswords(printable(error))
            .replace(/^error: /, "")
            .slice(0, 2_000),
          log,
        };
      }),
  };
}

function firstWord([first]: readonly unknown[]): string {
  return typeof first === "string" ? first : "";
}

function parse(text: string): Message {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

function derivationIn(error: string): string | null {
  // Nix colours the path, so what stands before it may be an escape.
  return /\/nix\/store\/[0-9a-z]{32}-[0-9a-zA-Z+\-._?=]+\.drv/.exec(error)?.[0] ?? null;
}

/** Without the folder, the hash, and the ending of a derivation. */
function nameOf(storePath: string): string {
  return printable(storePath.replace(/^.*\/[0-9a-z]{32}-/, "").replace(/\.drv$/, ""));
}
