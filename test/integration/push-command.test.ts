// `nix-tether push` as a person runs it: what it builds, what it says, and an interruption in the middle.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { validityOf } from "../support/cache-validity.js";
import { compileProgram, type Program } from "../support/compile.js";
import { startCutProxy } from "../support/cut-proxy.js";
import { makePrivateNix, type NixVersion, type PrivateNix } from "../support/private-nix.js";
import { makeSftpFixture, type SftpFixture } from "../support/sftp-fixture.js";
import { temporaryFolder } from "../support/temp-folder.js";

let program: Program;
let fixture: SftpFixture;

beforeAll(async () => {
  program = await compileProgram("src/main.ts");
  fixture = await makeSftpFixture();
});
afterAll(async () => {
  await fixture.dispose();
  await program.remove();
});
afterEach(() => fixture.endTest());

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

describe.each(["2.8", "2.34"] as const)("with Nix %s", (version: NixVersion) => {
  let nix: PrivateNix;
  beforeAll(async () => {
    nix = await makePrivateNix(version, () => "");
    await mkdir(path.join(nix.dir, "flake"));
    await writeFile(
      path.join(nix.dir, "flake", "flake.nix"),
      `{ outputs = _: let make = name: script: derivation {
        inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" script ];
      }; in rec {
        small = make "small" "echo small >$out";
        top = make "top" "echo \${small} >$out";
        large = make "large" "/bin/mkdir $out; for i in 1 2 3 4 5 6 7 8; do /usr/bin/head -c 1500000 /dev/urandom >$out/$i; done";
        bad = make "bad" "exit 1";
      }; }`,
    );
  });
  afterAll(() => nix.dispose());

  const start = (args: readonly string[]): ReturnType<typeof spawn> => {
    const env = {
      ...fixture.env,
      ...nix.env,
      PATH: `${fixture.env["PATH"]?.split(":")[0]}:${nix.env["PATH"]}`,
    };
    const child = spawn(process.execPath, [program.file, "push", ...args], {
      env,
      cwd: nix.dir,
      stdio: ["ignore", "pipe", "pipe"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };
  const ended = async (child: ReturnType<typeof spawn>): Promise<Ran> => {
    const said = { out: "", err: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (said.out += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (said.err += text));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, ...said };
  };
  const push = (...args: string[]): Promise<Ran> => ended(start(args));

  test("it builds and sends what is named, says so, and warns of what nobody has signed", async () => {
    const sshd = await fixture.sshd({ config: ["Subsystem sftp internal-sftp"] });
    const folder = path.join(temporaryFolder(), "cache");
    await writeFile(fixture.knownHosts, sshd.knownHostsLine("127.0.0.1"));
    const target = `sftp://root@127.0.0.1:${sshd.port}${folder}`;
    const flake = `path:${nix.dir}/flake`;
    const first = await push(target, `${flake}#top`);
    expect(first).toMatchObject({ code: 0 });
    expect(first.out).toMatch(
      /^pushed 2 paths to root@127\.0\.0\.1:.*cache \(.* B, sent as .* B\) in \d+ s\n$/,
    );
    expect(first.err).toContain("2 paths have no signature");
    const { paths, problems } = validityOf(folder);
    expect(problems).toEqual([]);
    expect(paths.map((one) => one.slice(44))).toEqual(expect.arrayContaining(["small", "top"]));

    await nix.run(
      `nix key generate-secret --key-name nas-1 --extra-experimental-features nix-command >${nix.dir}/key`,
    );
    const config = path.join(nix.dir, "config.toml");
    await writeFile(
      config,
      `[static.nas]\nhost = "127.0.0.1"\nport = ${sshd.port}\nuser = "root"\npath = "${folder}"\nsigning-key = "${nix.dir}/key"\n`,
    );
    const signed = await push("nas", ...paths, "--config", config, "--json");
    expect({ ...signed, out: JSON.parse(signed.out) as unknown }).toMatchObject({
      code: 0,
      out: { version: 1, target: "nas", paths: 2, alreadyThere: 0, unsigned: 0, bytes: 0 },
      err: "",
    });
    const again = await push("nas", `${paths[0]}/bin/none`, "--config", config);
    expect(again.out).toMatch(/^nothing to push to .*: \d paths? w.* there already\n$/);

    expect(await push("nas", `${flake}#bad`, "--config", config)).toMatchObject({ code: 1 });
    const unknown = await push("nass", `${flake}#top`, "--config", config);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.err).toContain("Did you mean nas?");
    expect(await readdir(path.dirname(folder))).toEqual(["cache"]);
  });

  test("Ctrl-C, or a terminal that is closed, leaves a valid cache and no mark in it; another push goes on", async () => {
    const sshd = await fixture.sshd({ config: ["Subsystem sftp internal-sftp"] });
    const proxy = await startCutProxy(sshd, () => Infinity);
    onTestFinished(() => proxy.close());
    await writeFile(fixture.knownHosts, `[127.0.0.1]:* ${sshd.hostKeys[0]?.publicKey}\n`);
    const folder = path.join(temporaryFolder(), "cache");
    const target = `sftp://root@127.0.0.1:${proxy.port}${folder}`;
    const flake = `path:${nix.dir}/flake`;
    await push(target, `${flake}#small`);
    proxy.slow(4_000_000);
    const child = start([target, `${flake}#large`, `${flake}#top`]);
    const end = ended(child);
    const nars = async (): Promise<string[]> => readdir(path.join(folder, "nar"));
    await expect
      .poll(nars, { timeout: 30_000, interval: 20 })
      .toContainEqual(expect.stringMatching(/^\.tmp-.*zst$/));
    const [how, code] = version === "2.8" ? (["SIGINT", 130] as const) : (["SIGHUP", 129] as const);
    child.kill(how);
    expect(await end).toMatchObject({ code, out: "" });
    expect(validityOf(folder).problems).toEqual([]);
    expect((await readdir(folder)).filter((name) => name.startsWith(".nix-tether"))).toEqual([]);
    proxy.slow(Infinity);
    expect(await push(target, `${flake}#large`, `${flake}#top`)).toMatchObject({ code: 0 });
    const { paths, problems } = validityOf(folder);
    expect({ problems, count: paths.length }).toEqual({ problems: [], count: 3 });
    expect((await nars()).filter((name) => name.startsWith("."))).toEqual([]);
  });
});
