// Writes the small files in which a daemon leaves something to the next one.

import { mkdir } from "node:fs/promises";
import path from "node:path";
import { replaceFile } from "./durable-file.js";
import { TetherError, messageOf } from "./errors.js";

/**
 * Replaces the file as a whole, and makes its folder where it is missing. `forgotten` is what the next daemon will not know
 * while that fails.
 * @throws TetherError `state-unwritable`
 */
export async function writeStateFile(file: string, text: string, forgotten: string): Promise<void> {
  const folder = path.dirname(file);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await replaceFile(file, text);
  } catch (error) {
    throw new TetherError("state-unwritable", `${file} can not be written: ${messageOf(error)}`, {
      remedy: `Make ${folder} a folder that you can write to. Until then a restart forgets ${forgotten}.`,
      cause: error,
    });
  }
}
