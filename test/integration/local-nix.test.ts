// What the real nix says of a user, asked by a process of a user without rights.

import { execFile } from "node:child_process";
import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { compileProgram, type Program } from "../support/compile.js";

const run = promisify(execFile);
const nobody = 65_534;

let program: Program;
let home: string;

beforeAll(async () => {
  program = await compileProgram("src/daemon/local-nix.ts");
  await chmod(dirname(dirname(dirname(program.file))), 0o755);
  home = await mkdtemp(join(tmpdir(), "nix-tether-nobody-"));
  await chown(home, nobody, nobody);
});

afterAll(async () => {
  await program.remove();
  await rm(home, { recursive: true, force: true });
});

const ask = `
  import(process.argv[1]).then(async ({ isTrustedUser }) => {
    process.stdout.write(String(await isTrustedUser(process.env, { debug: console.error })));
  });
`;

test.each([
  ["behind the nix-daemon, named by nobody", "trusted-users = root", { NIX_REMOTE: "daemon" }, "false"],
  ["named", "trusted-users = root nobody", { NIX_REMOTE: "daemon" }, "true"],
  ["of a named group", "trusted-users = @nogroup", { NIX_REMOTE: "daemon" }, "true"],
  ["with a store of one's own", "trusted-users = root", {}, "true"],
  ["with the store of another", "trusted-users = root", { NIX_STATE_DIR: "/nix/var/nix" }, "false"],
  ["without nix", "trusted-users = *", { PATH: "/nonexistent" }, "false"],
])("a user %s", async (_who, conf, variables, trusted) => {
  await writeFile(join(home, "nix.conf"), `${conf}\n`);
  const env = {
    PATH: process.env["PATH"],
    HOME: home,
    NIX_CONF_DIR: home,
    NIX_STATE_DIR: home,
    ...variables,
  };
  const { stdout } = await run(process.execPath, ["-e", ask, program.file], {
    env,
    cwd: home,
    uid: nobody,
    gid: nobody,
  });
  expect(stdout).toBe(trusted);
});
