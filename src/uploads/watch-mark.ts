// Remembers until when the store was looked through, so that what is built while no daemon runs is found by the next one.

import { z } from "zod";
import { readBounded, replaceFile } from "../util/durable-file.js";

const schema = z.object({ version: z.literal(1), until: z.int().nonnegative() });

/** In milliseconds since the epoch; null where nothing that can be used was written. Never rejects. */
export async function readMark(file: string): Promise<number | null> {
  try {
    return schema.parse(JSON.parse(await readBounded(file, 4096))).until;
  } catch {
    return null;
  }
}

/** Rejects with the system's error. */
export async function writeMark(file: string, until: number): Promise<void> {
  await replaceFile(file, `${JSON.stringify({ version: 1, until })}\n`);
}
