// A throw-away Nix store below a temp folder, with the real nix tools and daemon working on it. Store paths are
// logical (`/nix/store/…`); their files lie below `<dir>/root`. Nothing outside the folder is touched.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeExported, exportEnd, inventPath } from "./nix-export.js";

/** A file's content, a symlink, an executable, or a folder of these. */
export type Tree =
  string | Buffer | { link: string } | { script: string } | { entries: Record<string, Tree> };

/** What `addTree` may be told about the new path; with any of these set, its hash part is invented. */
export interface PathOptions {
  /** Full store paths; they must be valid in this store. */
  references?: readonly string[];
  /** Full store path of a derivation, which need not exist. */
  deriver?: string;
}

/** A throw-away store. Every command runs with `env`: its own HOME, NIX_CONF_DIR and NIX_REMOTE. */
export interface NixStore {
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Adds a file as `<hash>-<name>` and returns its store path; its content address is `fixed:r:sha256`. */
  addFile(name: string, content: string | Buffer, options?: PathOptions): Promise<string>;
  /** Adds a folder, file or symlink and returns its store path. */
  addTree(name: string, tree: Tree, options?: PathOptions): Promise<string>;
  /** Runs a program with the store's environment and returns its stdout; throws when it fails. */
  run(command: string, ...args: string[]): Promise<string>;
  /** Where a store path's files lie on this machine. */
  physical(storePath: string): string;
  /** Makes a signing key, signs the paths with it, and returns the public key (`name:base64`). */
  sign(keyName: string, ...storePaths: string[]): Promise<string>;
  /** SHA-256 (hexadecimal) and length of the path's NAR as `nix-store --dump` writes it. */
  dump(storePath: string): Promise<{ sha256: string; size: number }>;
  /** A fresh `nix-daemon --stdio` as a byte stream; it ends with the stream. */
  openDaemon(): Duplex;
  /** Starts a nix-daemon that listens on `<dir>/daemon.sock`; returns the socket's path. Stopped by `dispose`. */
  listen(): Promise<string>;
  /** Stops what was started and removes the folder. */
  dispose(): Promise<void>;
}

/** Makes an empty store. `conf` is appended to its nix.conf. */
export async function makeStore(options: { conf?: string } = {}): Promise<NixStore> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-store-"));
  const children = new Set<ChildProcess>();
  await mkdir(join(dir, "home"));
  await mkdir(join(dir, "conf"));
  await mkdir(join(dir, "root"));
  const conf = [
    "build-users-group =",
    "experimental-features = nix-command",
    "sandbox = false",
    "substituters =",
  ];
  await writeFile(join(dir, "conf", "nix.conf"), `${conf.join("\n")}\n${options.conf ?? ""}\n`);
  const env: NodeJS.ProcessEnv = {
    PATH: process.env["PATH"],
    LANG: "C.UTF-8",
    HOME: join(dir, "home"),
    NIX_CONF_DIR: join(dir, "conf"),
    NIX_USER_CONF_FILES: "",
    NIX_REMOTE: `local?root=${join(dir, "root")}`,
    NIX_DAEMON_SOCKET_PATH: join(dir, "daemon.sock"),
  };
  let serial = 0;

  const run = (command: string, ...args: string[]): Promise<string> => execute(command, args, env, dir);
  const physical = (storePath: string): string => join(dir, "root", storePath);
  const spawnDaemon = (args: string[], stdio: "pipe" | "ignore"): ChildProcess => {
    const child = spawn("nix-daemon", args, { env, cwd: dir, stdio: [stdio, stdio, "ignore"] });
    children.add(child);
    child.on("error", () => children.delete(child));
    child.on("exit", () => children.delete(child));
    return child;
  };

  const addTree = async (name: string, tree: Tree, path: PathOptions = {}): Promise<string> => {
    serial += 1;
    const source = join(dir, `source-${serial}`, name);
    await mkdir(join(dir, `source-${serial}`));
    await writeTree(source, tree);
    try {
      if (path.references === undefined && path.deriver === undefined) {
        return (await run("nix-store", "--add", source)).trim();
      }
      const nar = await executeRaw("nix-store", ["--dump", source], env, dir);
      const storePath = inventPath(name, nar);
      const { references = [], deriver = null } = path;
      const exported = encodeExported({ path: storePath, nar, references, deriver });
      await executeRaw("nix-store", ["--import"], env, dir, Buffer.concat([exported, exportEnd]));
      return storePath;
    } finally {
      await rm(join(dir, `source-${serial}`), { recursive: true, force: true });
    }
  };

  return {
    dir,
    env,
    run,
    physical,
    addTree,
    addFile: (name, content, path) => addTree(name, content, path),
    sign: async (keyName, ...storePaths) => {
      const secret = join(dir, `${keyName}.sec`);
      const publicFile = join(dir, `${keyName}.pub`);
      await run("nix-store", "--generate-binary-cache-key", keyName, secret, publicFile);
      await run("nix", "store", "sign", "--key-file", secret, ...storePaths);
      return (await readFile(publicFile, "utf8")).trim();
    },
    dump: async (storePath) => {
      const nar = await executeRaw("nix-store", ["--dump", physical(storePath)], env, dir);
      return { sha256: createHash("sha256").update(nar).digest("hex"), size: nar.length };
    },
    openDaemon: () => duplexOf(spawnDaemon(["--stdio"], "pipe")),
    listen: async () => {
      const socket = join(dir, "daemon.sock");
      spawnDaemon([], "ignore");
      await untilConnectable(socket);
      return socket;
    },
    dispose: async () => {
      const exits = [...children].map((child) => new Promise((resolve) => child.once("exit", resolve)));
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(exits);
      await execute("chmod", ["-R", "u+w", dir], env, "/").catch(() => "");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function writeTree(path: string, tree: Tree): Promise<void> {
  if (typeof tree === "string" || Buffer.isBuffer(tree)) return writeFile(path, tree);
  if ("link" in tree) return symlink(tree.link, path);
  if ("script" in tree) {
    await writeFile(path, tree.script);
    return chmod(path, 0o755);
  }
  await mkdir(path);
  for (const [name, child] of Object.entries(tree.entries)) await writeTree(join(path, name), child);
}

/** A child's stdin and stdout as one stream: ending it ends the child, and its exit ends the stream. */
function duplexOf(child: ChildProcess): Duplex {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("the child has no pipes");
  const duplex = new Duplex({
    read: () => stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, done),
    final: (done) => void stdin.end(done),
    destroy: (error, done) => {
      stdin.destroy();
      stdout.destroy();
      child.kill();
      done(error);
    },
  });
  stdout.on("data", (chunk: Buffer) => {
    if (!duplex.push(chunk)) stdout.pause();
  });
  stdout.on("end", () => duplex.push(null));
  stdout.on("error", (error) => duplex.destroy(error));
  stdin.on("error", (error) => duplex.destroy(error));
  child.on("error", (error) => duplex.destroy(error));
  return duplex;
}

/** Waits until something listens on a unix socket. */
export async function untilConnectable(path: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const answered = await new Promise<boolean>((resolve) => {
      const socket = connect(path, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (answered) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${path}`);
}

async function execute(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<string> {
  return (await executeRaw(command, args, env, cwd)).toString();
}

function executeRaw(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  input?: Buffer,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { env, cwd, encoding: "buffer" as const, maxBuffer: 2 ** 30, timeout: 60_000 };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")}: ${stderr.toString() || error.message}`));
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
