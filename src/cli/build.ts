// `nix-tether build`: builds on a cache's machine first, where that is in reach, and then as usual here. What was built
// there is fetched; whatever went wrong there, be it that the machine has left, is only lost time.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { resolveDirs } from "../config/dirs.js";
import { unknownCache } from "../control/unknown-cache.js";
import { askNixSettings } from "../daemon/nix-settings.js";
import { TetherError, messageOf } from "../util/errors.js";
import { printable } from "../util/printable.js";
import { askStatus } from "./ask-status.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { recheck } from "./recheck.js";

export interface BuildArguments {
  readonly cache: string;
  /** For `nix build`. */
  readonly args: readonly string[];
}

/** Where the machine's nix-daemon is reached, and what the gateway's URLs begin with. */
interface Far {
  readonly socket: string;
  readonly gateway: string;
}

/** Resolves to the exit code: that of the build here. */
export async function build(context: CliContext, { cache, args }: BuildArguments): Promise<number> {
  const { env } = context;
  const say = (text: string): void => void context.stderr.write(`nix-tether: ${printable(text)}\n`);
  const interrupted = context.interrupted();
  const far = await findFar(env, cache);
  if (typeof far === "string") say(`${far}: building here`);
  else {
    say(`building on ${cache}`);
    const code = await runNix(await farArguments(args, far, env), {
      env: { ...env, NIX_REMOTE: `unix://${far.socket}` },
      // What it prints there it will print here.
      stdout: "ignore",
    });
    if (interrupted.aborted) return exitCode.failure;
    // Nix may have been told before that it is not there.
    if (code === 0) await recheck(env, cache);
    else say(`it was not built on ${cache}: building here`);
  }
  return runNix(["build", ...args], { env, stdout: "inherit" });
}

/** Or why the machine is not to be used. @throws TetherError `unknown-cache` */
async function findFar(env: NodeJS.ProcessEnv, cache: string): Promise<Far | string> {
  try {
    const { controlSocket } = resolveDirs(env);
    const { caches } = await askStatus(controlSocket);
    const found = caches[cache];
    if (found === undefined) throw unknownCache(cache, Object.keys(caches));
    if (found.state !== "online") return `${cache} is ${found.state}`;
    if (found.socket === null) return `${cache} is no machine with Nix, but a web server`;
    return { socket: found.socket, gateway: new URL("/", found.url).href };
  } catch (error) {
    if (error instanceof TetherError && error.code === "unknown-cache") throw error;
    return messageOf(error);
  }
}

/** What is evaluated here, and built there. */
async function farArguments(
  args: readonly string[],
  { gateway }: Far,
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  // The machine is told of our substituters; those on our loopback are none of its own.
  const substituters = await askNixSettings(env)
    .then((settings) => settings.list("substituters").filter((url) => !url.startsWith(gateway)))
    .catch(() => []);
  const ours = ["--eval-store", "auto", "--option", "substituters", substituters.join(" "), "--no-link"];
  return ["build", ...withoutProfile(args), ...ours];
}

/** Pure: a profile is of this machine, and must not name what is not here. */
export function withoutProfile(args: readonly string[]): string[] {
  return args.filter((word, index) => word !== "--profile" && args[index - 1] !== "--profile");
}

/** Resolves to the exit code. An interruption reaches it as it reaches us, by way of the terminal. */
function runNix(
  args: readonly string[],
  { env, stdout }: { readonly env: NodeJS.ProcessEnv; readonly stdout: "inherit" | "ignore" },
): Promise<number> {
  return new Promise((resolve, reject) => {
    const words = ["--extra-experimental-features", "nix-command", ...args];
    const child = spawn("nix", words, { env, stdio: ["inherit", stdout, "inherit"] });
    child.on("error", (error) => {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      const text = missing ? "there is no nix in PATH" : `nix can not be run: ${error.message}`;
      reject(new TetherError("nix-missing", text, { cause: error }));
    });
    child.on("close", (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
