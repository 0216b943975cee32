// The store paths that a person means by the words of a command line: paths and links into the store as they are, and whatever
// else `nix build` understands, built.

import { spawn } from "node:child_process";
import { realpath } from "node:fs/promises";
import path from "node:path";
import { isStorePath, storeDir } from "../protocol/store-path.js";
import { TetherError, messageOf } from "../util/errors.js";
import { nixCommand, nixMissing } from "./nix-tools.js";

export interface InstallableOptions {
  readonly env: NodeJS.ProcessEnv;
  /** What relative words are seen from. */
  readonly cwd: string;
  readonly signal: AbortSignal;
}

/** More than the results of any one command line. */
const maxOutput = 16 * 1024 * 1024;

/**
 * Each path once. What Nix says of building goes to our standard error. Rejects with `usage`,
 * `build-failed`, `nix-missing`, or the signal's reason.
 */
export async function storePathsFor(
  words: readonly string[],
  options: InstallableOptions,
): Promise<string[]> {
  const known = await Promise.all(words.map((word) => inStore(word, options.cwd)));
  const unknown = words.filter((_, index) => known[index] === null);
  const dashed = unknown.find((word) => word.startsWith("-"));
  if (dashed !== undefined) throw new TetherError("usage", `${dashed} is neither an option nor a path`);
  const built = unknown.length === 0 ? [] : await build(unknown, options);
  return [...new Set([...known.filter((one) => one !== null), ...built])];
}

/** The store path that a word is, lies below, or is a link to; null for anything else. */
async function inStore(word: string, cwd: string): Promise<string | null> {
  const own = storePathOf(word);
  if (own !== null) return own;
  const real = await realpath(path.resolve(cwd, word)).catch(() => null);
  return real === null ? null : storePathOf(real);
}

/** Of a path in the store or below one of its paths. */
function storePathOf(text: string): string | null {
  const [first = ""] = text.startsWith(`${storeDir}/`) ? text.slice(storeDir.length + 1).split("/") : [];
  const own = `${storeDir}/${first}`;
  return isStorePath(own) ? own : null;
}

async function build(words: readonly string[], { env, cwd, signal }: InstallableOptions): Promise<string[]> {
  signal.throwIfAborted();
  // `--print-out-paths` came after Nix 2.8.
  const args = [...nixCommand, "--extra-experimental-features", "flakes", "build", "--no-link", "--json"];
  const child = spawn("nix", [...args, "--", ...words], {
    env,
    cwd,
    stdio: ["ignore", "pipe", "inherit"],
    signal,
    killSignal: "SIGTERM",
  });
  let output = "";
  child.stdout.on("error", () => undefined);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (output.length < maxOutput) output += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (error) => {
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      reject(signal.aborted ? (signal.reason as Error) : isMissing ? nixMissing("nix") : error);
    });
    child.once("close", resolve);
  });
  signal.throwIfAborted();
  if (code !== 0) {
    throw new TetherError("build-failed", `nix build ${words.join(" ")} failed`, {
      remedy: "Give store paths, links to them such as ./result, or what nix build takes, such as .#hello.",
    });
  }
  try {
    return outputsOf(JSON.parse(output));
  } catch (error) {
    throw new TetherError("build-failed", `nix build said nothing that is understood: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What `nix build --json` prints: a list of `{ drvPath, outputs: { out: path } }`, or `{ path }` for what needs no building. */
export function outputsOf(json: unknown): string[] {
  if (!Array.isArray(json)) throw new Error("it is no list");
  return json.flatMap((one: unknown) => {
    if (typeof one === "string") return [one];
    const { outputs, path: own } = one as { outputs?: Record<string, unknown>; path?: unknown };
    return [...Object.values(outputs ?? {}), own].filter((value) => typeof value === "string");
  });
}
