// A repository with a flake, an input of it, and a farm that builds it in a private Nix: all in a folder of their own.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FarmReport } from "../../src/farm/report.js";
import type { PrivateNix } from "./private-nix.js";

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface FarmYard {
  readonly dir: string;
  /** The farm's state folder. */
  readonly state: string;
  /** Runs a script in the yard's folder with the farm's environment; resolves to its stdout. */
  sh(script: string): Promise<string>;
  /** `nix-tether ARGS` with the yard's configuration, and with "NAME=VALUE" in its environment. */
  tether(args: string, variables?: string): Promise<Run>;
  /** `farm run home`, and its report. */
  run(): Promise<Run & { report: FarmReport }>;
  /** Writes `[farms.home]` anew. */
  configure(more: string, attributes?: readonly string[]): Promise<void>;
  /** Commits another text for the input. */
  input(text: string): Promise<void>;
  /** What builds do before they end: a shell script, run by each. */
  duringBuild(script: string): Promise<void>;
}

/** `text` is what `good` comes to; `bad` fails while the input is "bad"; `other` is another input. */
function flake(dir: string): string {
  return `{
  inputs.dep.url = "git+file://${dir}/dep";
  inputs.other.url = "git+file://${dir}/other";
  outputs = { self, dep, other }: let
    make = name: script: builtins.derivation {
      inherit name;
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" ''PATH=/usr/bin:/bin; export HOME=${dir}; echo "building \${name}"; . ${dir}/during; \${script}'' ];
    };
  in {
    packages.x86_64-linux.good = make "good" "echo \${dep.text} \${other.text} >$out";
    packages.x86_64-linux.bad = make "bad" ''
      if [ "\${dep.text}" = bad ]; then echo "it is bad"; exit 3; fi
      echo "\${dep.text}" >$out
    '';
  };
}`;
}

/** `program` is the compiled main.js. */
export async function makeFarmYard(nix: PrivateNix, program: string, name: string): Promise<FarmYard> {
  const dir = join(nix.dir, name);
  await mkdir(dir);
  const state = join(dir, "state/nix-tether/farms/home");
  const setting = [
    `cd ${dir}`,
    `export HOME=${dir} XDG_STATE_HOME=${dir}/state XDG_RUNTIME_DIR=${dir}/run XDG_CONFIG_HOME=${dir}/config`,
  ].join("\n");
  const sh = async (script: string): Promise<string> => (await nix.run(`${setting}\n${script}`)).stdout;
  const files = { [join(dir, "during")]: "", [join(dir, "flake.nix")]: flake(dir) };
  for (const [file, text] of Object.entries(files)) await writeFile(file, text);
  await sh(`
    git config --global user.name Ada; git config --global user.email ada@example.org
    git config --global init.defaultBranch main
    for input in dep other; do
      git init -q $input
      echo '{ outputs = _: { text = "one"; }; }' >$input/flake.nix
      git -C $input add flake.nix; git -C $input commit -qm one
    done
    git init -q --bare repo.git
    git init -q work; mv flake.nix work; cd work; git add .; git commit -qm begin; git push -q ${dir}/repo.git main
    git remote add origin ${dir}/repo.git
    mkdir -p ${dir}/run ${dir}/config/nix-tether`);
  const config = join(dir, "config/nix-tether/config.toml");
  const configure: FarmYard["configure"] = (more, attributes = ["packages.x86_64-linux.good"]) =>
    writeFile(
      config,
      `[farms.home]\nrepository = "${dir}/repo.git"\nattributes = ${JSON.stringify(attributes)}\n${more}\n`,
    );
  await configure("");
  const tether: FarmYard["tether"] = async (args, variables = "") => {
    const code = await sh(
      `set +e; ${variables} ${process.execPath} ${program} ${args} >${dir}/out 2>${dir}/err </dev/null; echo $?`,
    );
    const read = (file: string): Promise<string> => readFile(join(dir, file), "utf8");
    return { code: Number(code), stdout: await read("out"), stderr: await read("err") };
  };
  return {
    dir,
    state,
    sh,
    tether,
    configure,
    run: async () => {
      const run = await tether("farm run home --json");
      const report = run.stdout === "" ? null : (JSON.parse(run.stdout) as FarmReport);
      return { ...run, report: report as FarmReport };
    },
    input: async (text) => {
      const commit = `echo '{ outputs = _: { text = "${text}"; }; }' >flake.nix; git commit -qam ${text}`;
      await sh(`cd dep; ${commit}`);
    },
    duringBuild: (script) => writeFile(join(dir, "during"), script),
  };
}
