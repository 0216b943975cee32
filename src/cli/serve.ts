// `nix-tether serve`: serves the folder of a static cache by HTTP, until it is ended.

import { readdir, realpath } from "node:fs/promises";
import path from "node:path";
import { cacheInfoName, narFolder } from "../static/cache-names.js";
import { requireCache } from "../static/cache-info.js";
import { createLocalFolder } from "../static/local-folder.js";
import { defaultServerLimits, serveCache, type Listen } from "../static/serve/server.js";
import { TetherError, messageOf } from "../util/errors.js";
import { printable } from "../util/printable.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";

export interface ServeArguments {
  readonly folder: string;
  readonly listen?: string | undefined;
}

/** No right of root's is needed for it, and it is often free. */
const defaultPort = 8080;

/** How long what is under way may still take when the server is ended, in milliseconds. */
const endMs = 5_000;

/** Resolves to the exit code when the user, or the service manager, ends it. */
export async function serve(context: CliContext, args: ServeArguments): Promise<number> {
  const { stdout, stderr } = context;
  const at = parseListen(args.listen);
  const signal = context.interrupted();
  const say = (text: string): void => void stderr.write(`nix-tether: ${text}\n`);
  const folder = await realFolder(path.resolve(args.folder));
  if ((await readdir(folder)).length === 0) say(`${folder} is empty yet`);
  else await requireCache(createLocalFolder(folder), signal);
  await checkNars(folder, say);
  const server = await serveCache({
    folder,
    ...at,
    limits: defaultServerLimits,
    onTrouble: (why) =>
      say(why === null ? "files can be read again" : `a file can not be read: ${printable(why)}`),
  });
  stdout.write(`serving ${folder} on ${at.host ?? "every address of this machine"}, port ${server.port}\n`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.close(endMs);
  return exitCode.ok;
}

/** @throws TetherError `usage` */
export function parseListen(text: string | undefined): Listen {
  if (text === undefined) return { host: null, port: defaultPort };
  const [, bracketed, plain, digits = ""] =
    /^(?:(?:\[([0-9a-f:.%a-z]+)\]|([^\s:[\]]+)):)?(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain ?? null;
  if (digits !== "" && port <= 65535) return { host: host === "*" ? null : host, port };
  throw new TetherError("usage", `${JSON.stringify(text)} is nothing to listen on`, {
    remedy: "Write it as ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or PORT.",
  });
}

async function realFolder(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    throw new TetherError("not-a-cache", `${folder} can not be served: ${messageOf(error)}`, {
      remedy: `Name the folder that holds the ${cacheInfoName}.`,
      cause: error,
    });
  }
}

/** What lies on another disk must be mounted there, and not linked. */
async function checkNars(folder: string, say: (text: string) => void): Promise<void> {
  const real = await realpath(path.join(folder, narFolder)).catch(() => null);
  if (real === null || real === path.join(folder, narFolder)) return;
  say(`${narFolder}/ is a link out of the folder, which is not followed: none of the NARs will be served`);
}
