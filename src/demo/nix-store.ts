// The far machine's store kept by the real Nix of this machine, in a folder of the demo.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { contents, type DemoStore, picture } from "./demo-store.js";
import { makeNixHome, type NixHome } from "./nix-tools.js";

/**
 * Fills a throw-away store under `folder` and signs it. Rejects where this machine has no Nix, or one that
 * can not do this here (it is somebody else's Nix, so any reason is possible).
 */
export async function makeNixStore(
  folder: string,
  options: { readonly path: string; readonly signal: AbortSignal },
): Promise<DemoStore> {
  const nix = await makeNixHome(folder, { path: options.path, settings: [] });
  const { signal } = options;
  const label = (await nix.run("nix-daemon", ["--version"], signal)).replace(/^.*\(([^)]*)\)/, "$1");
  const paths = await addPaths(nix, signal);
  const publicKey = await sign(nix, Object.values(paths), signal);
  const children = new Set<ChildProcess>();
  return {
    label,
    ...paths,
    publicKey,
    serve: (stream) => serve(stream, nix, children),
    close: async () => {
      await Promise.all([...children].map(stopped));
    },
  };
}

async function addPaths(
  nix: NixHome,
  signal: AbortSignal,
): Promise<Pick<DemoStore, "letter" | "album" | "postcard">> {
  const album = join(nix.folder, "album");
  await mkdir(album);
  for (let index = 0; index < contents.pictures; index += 1) {
    await writeFile(join(album, `${index}.raw`), picture(index));
  }
  const albumPath = await nix.run("nix-store", ["--add", album], signal);
  // The string carries the album as its context, so the letter's path refers to it.
  const text = contents.letter("${builtins.storePath album}").replaceAll("\n", "\\n");
  const expression = `{ album }: builtins.toFile "letter.txt" "${text}"`;
  const letter = await nix.run(
    "nix-instantiate",
    ["--eval", "--read-write-mode", "--json", "-E", expression, "--argstr", "album", albumPath],
    signal,
  );
  const postcard = join(nix.folder, "postcard.txt");
  await writeFile(postcard, contents.postcard);
  return {
    album: albumPath,
    letter: JSON.parse(letter) as string,
    postcard: await nix.run("nix-store", ["--add", postcard], signal),
  };
}

async function sign(nix: NixHome, paths: readonly string[], signal: AbortSignal): Promise<string> {
  const secret = join(nix.folder, "secret-key");
  const open = join(nix.folder, "public-key");
  await nix.run("nix-store", ["--generate-binary-cache-key", "nix-tether-demo-1", secret, open], signal);
  await nix.run(
    "nix",
    ["--extra-experimental-features", "nix-command", "store", "sign", "-k", secret, ...paths],
    signal,
  );
  return (await readFile(open, "utf8")).trim();
}

/** One nix-daemon a conversation, as sshd would run it. */
function serve(stream: Duplex, nix: NixHome, children: Set<ChildProcess>): void {
  const child = spawn("nix-daemon", ["--stdio"], { env: nix.env, stdio: ["pipe", "pipe", "ignore"] });
  children.add(child);
  const end = (): void => {
    stream.destroy();
    child.stdin.destroy();
    child.stdout.destroy();
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  };
  for (const one of [stream, child.stdin, child.stdout]) one.on("error", end);
  child.on("error", end);
  child.once("exit", () => children.delete(child));
  stream.once("close", end);
  child.stdout.once("close", () => stream.end());
  stream.pipe(child.stdin);
  child.stdout.pipe(stream);
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
