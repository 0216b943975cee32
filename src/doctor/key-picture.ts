// A public key as OpenSSH shows it to people: size, fingerprint, type, and the picture that eyes compare better than
// letters.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { publicKeyText } from "../link/host-key.js";
import { printable } from "../util/printable.js";
import { runTool } from "../util/run-tool.js";
import type { HostKeyOffer } from "./host-key-offers.js";

const keygenMs = 5_000;

/** Where ssh-keygen can not draw it, the fingerprint stands alone. */
export async function pictureOf(
  { key, name, described }: HostKeyOffer,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-key-"));
  try {
    const file = join(dir, "key.pub");
    await writeFile(file, `${publicKeyText(key)} ${printable(name)}\n`);
    const drawn = await runTool("ssh-keygen", ["-lvf", file], { env, ms: keygenMs });
    return drawn?.code === 0 ? drawn.stdout.trimEnd() : described;
  } catch {
    return described;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
