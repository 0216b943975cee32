// Which URLs real nix-daemons, old and new, refuse to a user without rights, asked by a process of that user.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { cacheUrl } from "../../src/daemon/override-file.js";
import { compileProgram, type Program } from "../support/compile.js";
import { eventually } from "../support/eventually.js";
import { nixBin, type NixVersion } from "../support/private-nix.js";

const run = promisify(execFile);
const nobody = 65_534;

const url = (generation: number, trusted = false): string =>
  cacheUrl({ port: 37515, name: "pi", generation, priority: 30, trusted });
const asked = [url(0), url(1), url(2), url(3, true), url(4)];

const ask = `
  import(process.argv[1]).then(async ({ askRefusedUrls }) => {
    const refused = await askRefusedUrls(JSON.parse(process.argv[2]), process.env, { debug: () => {} });
    process.stdout.write(JSON.stringify(refused && [...refused]));
  });
`;

let program: Program;

beforeAll(async () => {
  program = await compileProgram("src/daemon/refused-urls.ts");
  await chmod(dirname(dirname(dirname(program.file))), 0o755);
});

afterAll(() => program.remove());

interface Multi {
  /** What a user without rights is told: see `askRefusedUrls`. */
  refused(variables?: NodeJS.ProcessEnv): Promise<string[] | null>;
  /** That user's home. */
  readonly home: string;
  restart(conf: string): Promise<void>;
  stop(): Promise<void>;
}

/** A nix-daemon of root, with a store below a temporary folder, and a user of it. */
async function makeMulti(version: NixVersion): Promise<Multi> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-multi-"));
  await chmod(dir, 0o755);
  for (const name of ["home", "conf", "own"]) await mkdir(join(dir, name));
  await chown(join(dir, "own"), nobody, nobody);
  const socket = join(dir, "daemon.sock");
  const common = { PATH: `${nixBin(version)}${process.env["PATH"]}`, NIX_DAEMON_SOCKET_PATH: socket };
  let daemon: ChildProcess | null = null;

  const stop = async (): Promise<void> => {
    if (daemon === null) return;
    const ended = once(daemon, "exit");
    daemon.kill("SIGKILL");
    await ended;
    await rm(socket, { force: true });
    daemon = null;
  };
  onTestFinished(async () => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  });
  return {
    stop,
    restart: async (conf) => {
      await stop();
      await writeFile(join(dir, "conf", "nix.conf"), `build-users-group =\nsubstituters =\n${conf}\n`);
      const places = { HOME: join(dir, "home"), NIX_CONF_DIR: join(dir, "conf") };
      const env = { ...common, ...places, NIX_REMOTE: `local?root=${join(dir, "root")}` };
      daemon = spawn("nix-daemon", [], { env, cwd: dir, stdio: "ignore" });
      daemon.on("error", () => undefined);
      await eventually("it listens", async () => (await readdir(dir)).includes("daemon.sock"));
      await chmod(socket, 0o666);
    },
    refused: async (variables = {}) => {
      const own = join(dir, "own");
      // What the user's own nix.conf claims to trust is nothing to the daemon.
      const env = { ...common, HOME: own, NIX_CONF_DIR: own, NIX_REMOTE: "daemon" };
      const claims = { NIX_CONFIG: `trusted-substituters = ${asked.join(" ")}\ntrusted-users = *` };
      const args = ["-e", ask, program.file, JSON.stringify(asked)];
      const options = { env: { ...env, ...claims, ...variables }, cwd: own, uid: nobody, gid: nobody };
      const { stdout } = await run(process.execPath, args, options);
      return JSON.parse(stdout) as string[] | null;
    },
    home: join(dir, "own"),
  };
}

test.each<NixVersion>(["2.8", "2.26", "2.34"])("a nix-daemon of version %s", async (version) => {
  const multi = await makeMulti(version);
  expect(await multi.refused()).toBeNull();
  await multi.restart("");
  expect(await multi.refused()).toEqual(asked);
  await multi.restart(`trusted-substituters = ${asked.join(" ")}`);
  expect(await multi.refused()).toEqual([]);
  await multi.restart(`substituters = ${asked.join(" ")}`);
  expect(await multi.refused()).toEqual([]);
  await multi.restart("trusted-users = root nobody");
  expect(await multi.refused()).toEqual([]);

  // Letter by letter or with understanding: as this very version does. A query is never left out of it.
  const spelled = [url(0), `${url(1)}/`, url(2).replace(/\?.*/, ""), url(3).replace("?", "?trusted=true&")];
  await multi.restart(`trusted-substituters = ${spelled.join(" ")}`);
  const expected = version === "2.34" ? [url(1), url(2), url(4)] : [url(2), url(3, true), url(4)];
  expect(await multi.refused()).toEqual(expected);
  // It was only a question.
  expect(await readdir(multi.home)).toEqual([]);
});

test("where Nix can not be asked nothing is known, and where it needs no daemon nothing is refused", async () => {
  const multi = await makeMulti("2.8");
  await multi.restart("");
  expect(await multi.refused({ PATH: "/nonexistent" })).toBeNull();
  expect(await multi.refused({ NIX_REMOTE: `local?root=${join(multi.home, "root")}` })).toEqual([]);
  await multi.stop();
  expect(await multi.refused()).toBeNull();
});
