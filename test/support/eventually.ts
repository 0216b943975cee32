// Waiting for something to become true, with an end.

import { setTimeout as sleep } from "node:timers/promises";

/** Resolves as soon as `condition` holds; throws after `ms` milliseconds, naming `what`. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 5_000,
): Promise<void> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(5)) {
    if (await condition()) return;
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}
