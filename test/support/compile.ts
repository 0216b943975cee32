// Compiles one TypeScript file with all it imports, so that a test can run it as a program of its own.

import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, "../..");

/** A compiled program. */
export interface Program {
  /** The JavaScript file to give to `node`. */
  readonly file: string;
  /** Deletes it. */
  remove(): Promise<void>;
}

/** Compiles `source`, a path from the repository's root, into a temporary folder. Types are not checked. */
export async function compileProgram(source: string): Promise<Program> {
  const folder = await mkdtemp(join(tmpdir(), "nix-tether-compiled-"));
  for (const name of ["node_modules", "page"]) await symlink(join(repository, name), join(folder, name));
  await copyFile(join(repository, "package.json"), join(folder, "package.json"));
  const config = {
    extends: join(repository, "tsconfig.json"),
    compilerOptions: { rootDir: repository, outDir: folder, noCheck: true, sourceMap: false },
    files: [join(repository, source)],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await run(join(repository, "node_modules/.bin/tsc"), ["-p", folder]);
  } catch (error) {
    await remove();
    throw error;
  }
  return { file: join(folder, source.replace(/\.ts$/, ".js")), remove };
}
