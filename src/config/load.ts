// Reads config.toml: from bytes on disk to a checked Config, or one error that names everything wrong with it.

import { statSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parse, TomlError } from "smol-toml";
import { TetherError, messageOf } from "../util/errors.js";
import { cacheProblem } from "./check-caches.js";
import { farmProblem } from "./check-farms.js";
import { problemsText } from "./problems.js";
import { configSchema, type CacheConfig, type Config } from "./schema.js";

/** Far above any real configuration; keeps a wrong path (a disk image, a log) out of memory. */
const maxBytes = 1024 * 1024;

/**
 * The configuration in `file`, with `~/` expanded to `home`.
 * @throws TetherError `config-missing`, `config-unreadable`, or `config-invalid` with all problems at once.
 */
export async function loadConfig(file: string, home: string = os.homedir()): Promise<Config> {
  const source = decode(file, await readBounded(file));
  const parsed = configSchema.safeParse(parseToml(file, source));
  if (!parsed.success) throw invalid(file, problemsText(source, parseToml(file, source), parsed.error));
  const { data } = parsed;
  const expand = (value: string): string =>
    value.startsWith("~/") ? path.join(home, value.slice(2)) : value;
  const caches = Object.entries(data.caches).map(([name, cache]) => [name, expandHome(cache, expand)]);
  const statics = Object.entries(data.static).map(([name, one]) => [name, expandKey(one, expand)]);
  const farms = Object.entries(data.farms).map(([name, farm]) => [
    name,
    { ...expandKey(farm, expand), repository: expand(farm.repository) },
  ]);
  const config = {
    ...data,
    caches: Object.fromEntries(caches) as Config["caches"],
    static: Object.fromEntries(statics) as Config["static"],
    uploads: expandKey(data.uploads, expand),
    farms: Object.fromEntries(farms) as Config["farms"],
  };
  await checkUploads(file, config);
  const problem = farmProblem(config.farms, {
    statics: Object.keys(config.static),
    caches: Object.keys(config.caches),
    uploadsTo: config.uploads.to,
  });
  if (problem !== null) throw invalid(file, problem);
  return config;
}

/** What is allowed but can hardly be meant: a sentence each. */
export function configWarnings(config: Config): string[] {
  const caches = Object.entries(config.caches);
  if (caches.length === 0) return ["the configuration names no caches, so there is nothing to look for"];
  const key = config.uploads["signing-key"];
  return [
    ...caches
      .filter(
        ([, cache]) => cache.type === "ssh" && cache.instance !== undefined && cache.service === undefined,
      )
      .map(([name]) => `caches.${name}.instance has no effect without caches.${name}.service`),
    ...(key !== undefined && isReadByOthers(key)
      ? [`uploads.signing-key: others can read ${key}, and so sign in your name: chmod go= ${key}`]
      : []),
  ];
}

function isReadByOthers(file: string): boolean {
  return ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o044) !== 0;
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    // Asked before opening: opening a named pipe would wait for a writer.
    const info = await stat(file);
    if (info.isDirectory()) throw unreadable(file, "it is a folder");
    if (!info.isFile()) throw unreadable(file, "it is not a regular file");
    if (info.size > maxBytes) throw unreadable(file, "it is larger than 1 MiB");
    const handle = await open(file);
    try {
      const buffer = new Uint8Array(maxBytes);
      let length = 0;
      while (length < maxBytes) {
        const { bytesRead } = await handle.read(buffer, length, maxBytes - length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      return buffer.subarray(0, length);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof TetherError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new TetherError("config-missing", `there is no configuration at ${file}`, {
        remedy: 'Write one there, for example:\n[caches.pi]\nhost = "raspberrypi.local"',
        cause: error,
      });
    }
    throw unreadable(file, messageOf(error), error);
  }
}

function decode(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw invalid(file, "the file is not UTF-8 text", error);
  }
}

function parseToml(file: string, source: string): unknown {
  try {
    return parse(source);
  } catch (error) {
    if (!(error instanceof TomlError)) throw invalid(file, messageOf(error), error);
    // The library's message goes on with an excerpt of the file; the line number says as much.
    const [first = ""] = error.message.replace(/^Invalid TOML document: /, "").split("\n");
    throw invalid(file, `line ${error.line}, column ${error.column}: ${first}`, error);
  }
}

function invalid(file: string, problems: string, cause?: unknown): TetherError {
  return new TetherError("config-invalid", `${file}: ${problems}`, { cause });
}

function unreadable(file: string, why: string, cause?: unknown): TetherError {
  return new TetherError("config-unreadable", `the configuration ${file} can not be read: ${why}`, { cause });
}

/** What the schema can not know: which caches there are, and which files. */
async function checkUploads(file: string, { caches, uploads }: Config): Promise<void> {
  const wrong = cacheProblem(caches, uploads.to);
  if (wrong !== null) throw invalid(file, wrong);
  const key = uploads["signing-key"];
  if (key === undefined) return;
  const problem = await stat(key).then(
    (info) => (info.isFile() ? null : "is no file"),
    (error: unknown) => `can not be used: ${messageOf(error)}`,
  );
  if (problem !== null) throw invalid(file, `uploads.signing-key: ${key} ${problem}`);
}

function expandKey<T extends { "signing-key"?: string | undefined }>(
  table: T,
  expand: (value: string) => string,
): T {
  const key = table["signing-key"];
  return key === undefined ? table : { ...table, "signing-key": expand(key) };
}

function expandHome(cache: CacheConfig, expand: (value: string) => string): CacheConfig {
  const expandAll = (value: string | string[]): string | string[] =>
    typeof value === "string" ? expand(value) : value.map(expand);
  if (cache.type === "http") {
    const netrc = cache["netrc-file"];
    return netrc === undefined ? cache : { ...cache, "netrc-file": expand(netrc) };
  }
  const { "identity-file": identity, "identity-agent": agent, "known-hosts": known } = cache;
  return {
    ...cache,
    ...(identity === undefined ? {} : { "identity-file": expandAll(identity) }),
    ...(agent === undefined ? {} : { "identity-agent": expand(agent) }),
    ...(known === undefined ? {} : { "known-hosts": expandAll(known) }),
  };
}
