// Holds store paths against Nix's garbage collector for as long as they wait. A root is a link in the spool that Nix
// knows of: indirect, so it needs no rights, and ends with the link.

import { createHash, randomBytes } from "node:crypto";
import { lstat, readdir, readlink, rm } from "node:fs/promises";
import path from "node:path";
import { encodeNix32 } from "../protocol/nix32.js";
import { baseNameOf } from "../protocol/store-path.js";
import { TetherError } from "../util/errors.js";
import { runTool, type ToolResult } from "../util/run-tool.js";

export interface GcRoots {
  /**
   * Makes roots for those paths that have none yet. Resolves to those that are not in the store any more.
   * @throws TetherError `nix-missing`, `root-failed`, `timeout`
   */
  hold(paths: readonly string[]): Promise<string[]>;
  /** Those that are not in the store at this moment, held or not. @throws TetherError `nix-missing`, `timeout` */
  missing(paths: readonly string[]): Promise<string[]>;
  /** Lets go of paths; those that are not held are none the worse for it. */
  release(paths: readonly string[]): Promise<void>;
  /** Lets go of everything else than `keep`, but for what has been made in the last minute. */
  sweep(keep: ReadonlySet<string>): Promise<void>;
}

export interface GcRootsOptions {
  /** Of the spool, where the links are. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** How old a link must be before `sweep` takes it, in milliseconds: the hook makes its links first. */
  readonly graceMs?: number;
}

/** Paths given to `nix-store` at a time. */
const chunk = 200;

/** How long one `nix-store` may take, in milliseconds: it may have to wait for a garbage collector. */
const deadlineMs = 60_000;

/** Links that nix-store made for us begin so; the hook's are named like the path. */
const heldPrefix = "held-";

export function createGcRoots(options: GcRootsOptions): GcRoots {
  const { folder, env, graceMs = 60_000 } = options;
  const stateDir = env["NIX_STATE_DIR"] ?? "/nix/var/nix";
  const auto = path.join(stateDir, "gcroots/auto");
  const ofHook = path.join(auto, `nix-tether-${process.getuid?.() ?? 0}`);
  /** By path: its links that are not named like it. */
  let held: Map<string, string[]> | null = null;

  const heldLinks = async (): Promise<Map<string, string[]>> => {
    if (held === null) {
      const found = new Map<string, string[]>();
      for (const name of await readdir(folder)) await remember(found, name);
      held = found;
    }
    return held;
  };
  const remember = async (links: Map<string, string[]>, name: string): Promise<void> => {
    const target = name.startsWith(heldPrefix) ? await readLink(path.join(folder, name)) : null;
    if (target !== null) links.set(target, [...(links.get(target) ?? []), name]);
  };

  /** Whether a link is one that Nix follows: registered by the hook, or under the name that Nix itself gives. */
  const isRegistered = async (name: string): Promise<boolean> => {
    const link = path.join(folder, name);
    const byNix = path.join(auto, encodeNix32(createHash("sha1").update(link).digest()));
    for (const root of [path.join(ofHook, name), byNix]) if ((await readLink(root)) === link) return true;
    return false;
  };
  const isHeld = async (storePath: string): Promise<boolean> => {
    for (const name of [baseNameOf(storePath), ...((await heldLinks()).get(storePath) ?? [])]) {
      if ((await readLink(path.join(folder, name))) === storePath && (await isRegistered(name))) return true;
    }
    return false;
  };

  const nixStore = async (args: readonly string[]): Promise<ToolResult> => {
    const result = await runTool("nix-store", args, { env, ms: deadlineMs });
    if (result !== null) return result;
    throw new TetherError("nix-missing", "nix-store is not on the PATH, so waiting paths can not be held", {
      remedy: "Start the daemon with a PATH that has Nix's programs.",
    });
  };

  const missing = async (paths: readonly string[]): Promise<string[]> => {
    const { stdout } = await nixStore(["--check-validity", "--print-invalid", ...paths]);
    return stdout.split("\n").filter((line) => paths.includes(line));
  };

  const addRoots = async (paths: readonly string[]): Promise<string[]> => {
    if (paths.length === 0) return [];
    const name = `${heldPrefix}${randomBytes(6).toString("hex")}`;
    // What is gone must not be fetched or built again, only to be sent.
    const quietly = ["--option", "substitute", "false"];
    const root = ["--add-root", path.join(folder, name), "--indirect"];
    const added = await nixStore(["--realise", ...paths, ...root, ...quietly]);
    for (const link of await readdir(folder))
      if (link.startsWith(name)) await remember(await heldLinks(), link);
    if (added.code !== 0) {
      const gone = new Set(await missing(paths));
      if (gone.size === 0) throw rootFailed(paths, added.stderr);
      return [...gone, ...(await addRoots(paths.filter((one) => !gone.has(one))))];
    }
    for (const one of paths) if (!(await isHeld(one))) throw rootFailed([one], `Nix does not follow ${name}`);
    return [];
  };

  return {
    hold: async (paths) => {
      const wanted: string[] = [];
      for (const one of new Set(paths)) if (!(await isHeld(one))) wanted.push(one);
      const gone: string[] = [];
      for (let start = 0; start < wanted.length; start += chunk) {
        gone.push(...(await addRoots(wanted.slice(start, start + chunk))));
      }
      return gone;
    },
    missing,
    release: async (paths) => {
      const links = await heldLinks();
      for (const one of paths) {
        const names = [baseNameOf(one), ...(links.get(one) ?? [])];
        for (const name of names) await rm(path.join(folder, name), { force: true });
        links.delete(one);
      }
    },
    sweep: async (keep) => {
      for (const name of await readdir(folder)) {
        const link = path.join(folder, name);
        const target = await readLink(link);
        if (target === null || keep.has(target) || !(await isOlder(link, graceMs))) continue;
        await rm(link, { force: true });
        held?.delete(target);
      }
    },
  };
}

async function readLink(file: string): Promise<string | null> {
  return readlink(file).catch(() => null);
}

async function isOlder(file: string, ms: number): Promise<boolean> {
  const info = await lstat(file).catch(() => null);
  return info !== null && Date.now() - info.mtimeMs >= ms;
}

function rootFailed(paths: readonly string[], why: string): TetherError {
  const which = paths.length === 1 ? paths[0] : `${paths.length} paths`;
  return new TetherError("root-failed", `Nix would not hold ${which}: ${why.trim().slice(-500)}`, {
    remedy: "Until it does, a garbage collection may take what waits for its upload.",
  });
}
