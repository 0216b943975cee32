// The local Nix's programs, as it takes them to send paths elsewhere: what a path needs, what is known of it, signing.

import { TetherError, messageOf } from "../util/errors.js";
import { inPieces } from "../util/in-pieces.js";
import { runTool, type ToolResult } from "../util/run-tool.js";
import { parsePathInfos, type LocalInfo, type LocalInfos } from "./path-infos.js";

export interface NixTools {
  /**
   * The paths and all that they need.
   * @throws TetherError `nix-missing`, `nix-failed` (also where one of them is gone: see `invalid`), `timeout`
   */
  closure(paths: readonly string[], signal?: AbortSignal): Promise<string[]>;
  /** Those that are not in the store. @throws TetherError as `closure` */
  invalid(paths: readonly string[], signal?: AbortSignal): Promise<string[]>;
  /** What is known of those that are in the store. @throws TetherError as `closure` */
  infos(paths: readonly string[], signal?: AbortSignal): Promise<LocalInfos>;
  /**
   * Adds signatures in the store. Resolves to false where the nix-daemon does not allow it, as that of Nix 2.8 does to
   * who is not trusted. @throws TetherError as `closure`
   */
  sign(keyFile: string, paths: readonly string[], signal?: AbortSignal): Promise<boolean>;
}

/** How long one program may take, in milliseconds: it may have to wait for a garbage collector. */
const deadlineMs = 60_000;

/** On a command line, beside the environment: Linux allows some 2 MiB for both. */
const mostPaths = 1_000;

/** Some 500,000 paths; far more than any closure has. */
const maxBytes = 64 * 1024 * 1024;

/** For `nix`, whose commands are experimental until they are enabled. */
export const nixCommand = ["--extra-experimental-features", "nix-command"];

/** What is gone must not be fetched, only to be sent. */
export const noSubstitutes = ["--option", "substitute", "false"];

export function nixMissing(file: string): TetherError {
  return new TetherError("nix-missing", `${file} is not on the PATH, so no paths can be sent`, {
    remedy: "Start this program with a PATH that has Nix's programs.",
  });
}

export function createNixTools(env: NodeJS.ProcessEnv): NixTools {
  const plain = { ...env, LC_ALL: "C" };
  const run = async (
    file: string,
    args: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<ToolResult> => {
    const result = await runTool(file, args, { env: plain, ms: deadlineMs, signal, maxBytes });
    if (result !== null) return result;
    throw nixMissing(file);
  };
  const succeed = (what: string, { code, stdout, stderr }: ToolResult): string => {
    if (code === 0) return stdout;
    throw new TetherError("nix-failed", `${what}: ${stderr.trim().slice(-500)}`);
  };
  const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

  const pathInfo = async (paths: readonly string[], signal: AbortSignal | undefined): Promise<LocalInfos> => {
    const args = (...more: string[]): string[] => [
      ...nixCommand,
      ...noSubstitutes,
      "path-info",
      "--json",
      ...more,
      ...paths,
    ];
    let result = await run("nix", args(), signal);
    // Nix 2.34 announces that it will ask for a format.
    if (result.code !== 0 && result.stderr.includes("--json-format"))
      result = await run("nix", args("--json-format", "1"), signal);
    try {
      return parsePathInfos(succeed("nix path-info", result));
    } catch (error) {
      if (error instanceof TetherError) throw error;
      throw new TetherError("nix-failed", `nix path-info: ${messageOf(error)}`, { cause: error });
    }
  };

  return {
    closure: async (paths, signal) =>
      lines(succeed("nix-store -qR", await run("nix-store", ["-qR", ...paths], signal))),
    invalid: async (paths, signal) => {
      const result = await run("nix-store", ["--check-validity", "--print-invalid", ...paths], signal);
      return lines(result.stdout).filter((line) => paths.includes(line));
    },
    infos: async (paths, signal) => {
      const infos = new Map<string, LocalInfo>();
      for (const piece of inPieces(paths, mostPaths))
        for (const [path, info] of await pathInfo(piece, signal)) infos.set(path, info);
      return infos;
    },
    sign: async (keyFile, paths, signal) => {
      for (const piece of inPieces(paths, mostPaths)) {
        const args = [...nixCommand, "store", "sign", "--key-file", keyFile, ...piece];
        const result = await run("nix", args, signal);
        if (result.code !== 0 && result.stderr.includes("not privileged")) return false;
        succeed("nix store sign", result);
      }
      return true;
    },
  };
}
