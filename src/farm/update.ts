// Updates flake.lock in the checkout, and commits it if that is wanted.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { TetherError } from "../util/errors.js";
import { gitWords, type Git } from "./git.js";
import { lockChanges, lockChangesText, type LockChange } from "./lock-changes.js";
import { nixWords, type Nix } from "./nix.js";

export interface UpdateRequest {
  /** The folder with flake.nix. */
  readonly flake: string;
  /** All of them where empty. */
  readonly inputs: readonly string[];
  readonly commit: boolean;
}

export interface Update {
  readonly changes: readonly LockChange[];
  /** The commit that was made; null where nothing has changed, or none was wanted. */
  readonly commit: string | null;
}

/** Lists what is new, as many as anybody reads. */
const maxMessage = 20_000;

/** @throws TetherError `farm-update`, `nix-missing`, `git-missing`, `timeout`; the signal's reason */
export async function updateLock(
  { flake, inputs, commit }: UpdateRequest,
  { nix, git }: { readonly nix: Nix; readonly git: Git },
): Promise<Update> {
  const file = path.join(flake, "flake.lock");
  const read = (): Promise<string | null> => readFile(file, "utf8").catch(() => null);
  const before = await read();
  const result = await nix.run(await updateArguments(inputs, nix), { cwd: flake });
  if (result.code !== 0) throw failed("the inputs of the flake can not be updated", nixWords(result.stderr));
  const after = await read();
  const changes = lockChanges(before, after);
  if (after === before || !commit) return { changes, commit: null };
  const message = `flake.lock: Update\n\nFlake lock file updates:\n\n${lockChangesText(changes)}`;
  for (const args of [
    ["add", "--", "flake.lock"],
    ["commit", "--quiet", "--message", message.slice(0, maxMessage), "--", "flake.lock"],
  ]) {
    const done = await git(...args);
    if (done.code !== 0) throw failed("the new flake.lock can not be committed", gitWords(done));
  }
  return { changes, commit: (await git("rev-parse", "HEAD")).stdout.trim() };
}

/** From 2.19 on, `nix flake update` takes the names of inputs; before, it took the flake instead. */
async function updateArguments(inputs: readonly string[], nix: Nix): Promise<string[]> {
  if (inputs.length === 0) return ["flake", "update"];
  const { stdout } = await nix.run(["--version"], {});
  const [, major = "2", minor = "0"] = /(\d+)\.(\d+)/.exec(stdout) ?? [];
  if (Number(major) > 2 || Number(minor) >= 19) return ["flake", "update", ...inputs];
  return ["flake", "lock", ...inputs.flatMap((input) => ["--update-input", input])];
}

function failed(what: string, why: string): TetherError {
  return new TetherError("farm-update", `${what}: ${why}`, {
    remedy: "Nothing was built or pushed; what was built before is kept.",
  });
}
