// Reads the nix.conf files as Nix would, to see whether the override takes effect: it must be included, and no
// later line may set substituters anew, for that wipes what `extra-substituters` has added.

import { lstatSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import path from "node:path";
import { xdgConfigDirs, xdgConfigHome, type ConfigPaths } from "../config/dirs.js";

/** Whether Nix sees the override. */
export type IncludeVerdict =
  | { readonly kind: "included"; readonly file: string }
  | {
      readonly kind: "missing";
      /** The line that has to be added, and the file whose end it belongs to. */
      readonly line: string;
      readonly file: string;
      /** True where the file is made by Home Manager or NixOS and can not be edited in place. */
      readonly generated: boolean;
    }
  | {
      readonly kind: "not-last";
      /** The setting that comes after the include and undoes it. */
      readonly setting: string;
      readonly file: string;
      /** Counted from 1. */
      readonly lineNumber: number;
    };

/** The setting that replaces what the override adds, and Nix's old name for it. */
const wiping: ReadonlySet<string> = new Set(["substituters", "binary-caches"]);

const maxBytes = 1024 * 1024;

/** Nix itself has no limit and would never end; nobody nests this deep on purpose. */
export const maxIncludeDepth = 16;

interface Setting {
  readonly name: string;
  readonly file: string;
  readonly lineNumber: number;
}

/** Looks through every nix.conf that Nix reads for this user, in its order. Files it can not read are skipped. */
export function findInclude(dirs: Pick<ConfigPaths, "overrideFile">, env: NodeJS.ProcessEnv): IncludeVerdict {
  const override = realpath(dirs.overrideFile);
  const settings: Setting[] = [];
  const walk = (text: string, file: string, depth: number): void => {
    for (const { words, lineNumber } of confLines(text)) {
      const [name = "", second = ""] = words;
      if (name !== "include" && name !== "!include") {
        settings.push({ name, file, lineNumber });
        continue;
      }
      const included = path.resolve(path.dirname(file), second);
      if (included === dirs.overrideFile || realpath(included) === override) {
        settings.push({ name: includeMark, file, lineNumber });
      } else if (depth < maxIncludeDepth) {
        walk(readConf(included), included, depth + 1);
      }
    }
  };
  const files = userConfFiles(env);
  // The first file of the list has the last word, so Nix reads it last; after all of them NIX_CONFIG.
  for (const file of files.toReversed()) walk(readConf(file), file, 0);
  walk(env["NIX_CONFIG"] ?? "", "NIX_CONFIG", 0);
  return verdict(settings, dirs.overrideFile, files[0] ?? path.join(xdgConfigHome(env), "nix/nix.conf"));
}

/** What to tell the user of a verdict: null when all is well. */
export function includeAdvice(found: IncludeVerdict): { text: string; remedy: string } | null {
  switch (found.kind) {
    case "included":
      return null;
    case "missing":
      return {
        text: "Nix does not read the override: no nix.conf includes it",
        remedy: found.generated
          ? `${found.file} is generated: set services.nix-tether.includeOverride in Home Manager, or add '${found.line}' to nix.extraOptions.`
          : `Add this line at the end of ${found.file}: ${found.line}`,
      };
    case "not-last":
      return {
        text: `'${found.setting} = …' at ${found.file}:${found.lineNumber} comes after the override and undoes it`,
        remedy: `Move the include of the override below that line, or write 'extra-${found.setting} = …' there.`,
      };
  }
}

/** A word that can be no setting's name, standing for "the override is taken in here". */
const includeMark = "!include the override";

function verdict(settings: readonly Setting[], overrideFile: string, mainFile: string): IncludeVerdict {
  const at = settings.findLastIndex(({ name }) => name === includeMark);
  const mark = settings[at];
  if (mark === undefined) {
    const beside = path.dirname(mainFile) === path.dirname(overrideFile);
    const line = `!include ${beside ? path.basename(overrideFile) : overrideFile}`;
    return { kind: "missing", line, file: mainFile, generated: isGenerated(mainFile) };
  }
  const wiper = settings.slice(at + 1).find(({ name }) => wiping.has(name));
  if (wiper === undefined) return { kind: "included", file: mark.file };
  return { kind: "not-last", setting: wiper.name, file: wiper.file, lineNumber: wiper.lineNumber };
}

function userConfFiles(env: NodeJS.ProcessEnv): string[] {
  const named = env["NIX_USER_CONF_FILES"];
  if (named !== undefined) return named.split(":").filter((file) => file !== "");
  return [xdgConfigHome(env), ...xdgConfigDirs(env)].map((dir) => path.join(dir, "nix/nix.conf"));
}

/** Those that set something, with the line's number. */
export function confLines(text: string): { words: string[]; lineNumber: number }[] {
  return text
    .split("\n")
    .map((line, index) => ({
      words: line
        .replace(/#.*/, "")
        .split(/[ \t\r]+/)
        .filter((word) => word !== ""),
      lineNumber: index + 1,
    }))
    .filter(({ words }) => words.length >= 2);
}

/** The text of a nix.conf; empty where there is none to be read. */
export function readConf(file: string): string {
  try {
    const info = statSync(file);
    return info.isFile() && info.size <= maxBytes ? readFileSync(file, "utf8") : "";
  } catch {
    return "";
  }
}

function realpath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function isGenerated(file: string): boolean {
  try {
    return lstatSync(file).isSymbolicLink() && readlinkSync(file).startsWith("/nix/store/");
  } catch {
    return false;
  }
}
