// The settings that Nix itself says it has.

import { TetherError } from "../util/errors.js";
import { runTool } from "../util/run-tool.js";

export interface NixSettings {
  /** The words of a setting; none where there is no such setting. */
  list(name: string): string[];
  /** A setting as one word; empty where it is unset or unknown. */
  text(name: string): string;
}

/** `nix config show` is the name since 2.20; Nix 2.8 knows `nix show-config` only. */
const showConfig = [["config", "show"], ["show-config"]] as const;

/** How long one question to the `nix` program may take, in milliseconds. */
const deadlineMs = 5_000;

const maxBytes = 4 * 1024 * 1024;

/**
 * As the commands of a process with `env` have them. Rejects with code `nix-missing` or `nix-failed`, as `runTool` does,
 * and where the answer is no JSON.
 */
export async function askNixSettings(env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<NixSettings> {
  let said = "";
  for (const words of showConfig) {
    const args = ["--extra-experimental-features", "nix-command", ...words, "--json"];
    const result = await runTool("nix", args, { env, ms: deadlineMs, signal, maxBytes });
    if (result === null) {
      throw new TetherError("nix-missing", "there is no nix in PATH", {
        remedy: "Install Nix, or add the folder of its programs to PATH.",
      });
    }
    if (result.code === 0) return parseNixSettings(result.stdout);
    said = result.stderr;
  }
  throw new TetherError("nix-failed", `nix does not tell its settings: ${said.trim().slice(-500)}`);
}

/** Pure: those in the output of `nix config show --json`. */
export function parseNixSettings(json: string): NixSettings {
  const parsed: unknown = JSON.parse(json);
  const valueOf = (name: string): unknown => {
    const setting = isObject(parsed) ? parsed[name] : undefined;
    return isObject(setting) ? setting["value"] : undefined;
  };
  return {
    list: (name) => {
      const value = valueOf(name);
      if (typeof value === "string") return value.split(/\s+/).filter((word) => word !== "");
      return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
    },
    text: (name) => {
      const value = valueOf(name);
      if (Array.isArray(value)) return value.join(" ");
      return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
        ? String(value)
        : "";
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
