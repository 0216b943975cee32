// Which URLs real nix-daemons, old and new, refuse to a user without rights, asked by a process of that user.

import { execFile } from "node:child_process";
import { chmod, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { cacheUrl } from "../../src/daemon/override-file.js";
import { compileProgram, type Program } from "../support/compile.js";
import { makeMultiNix, type MultiNix } from "../support/multi-nix.js";
import type { NixVersion } from "../support/private-nix.js";

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

interface Multi extends MultiNix {
  /** What a user without rights is told: see `askRefusedUrls`. */
  refused(variables?: NodeJS.ProcessEnv): Promise<string[] | null>;
}

async function makeMulti(version: NixVersion): Promise<Multi> {
  const multi = await makeMultiNix(version);
  onTestFinished(() => multi.dispose());
  return {
    ...multi,
    refused: async (variables = {}) => {
      const { home } = multi;
      // What the user's own nix.conf claims to trust is nothing to the daemon.
      const env = { ...multi.env, HOME: home, NIX_CONF_DIR: home };
      const claims = { NIX_CONFIG: `trusted-substituters = ${asked.join(" ")}\ntrusted-users = *` };
      const args = ["-e", ask, program.file, JSON.stringify(asked)];
      const options = { env: { ...env, ...claims, ...variables }, cwd: home, uid: nobody, gid: nobody };
      const { stdout } = await run(process.execPath, args, options);
      return JSON.parse(stdout) as string[] | null;
    },
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
