// Is there a configuration, and is it one?

import { configWarnings } from "../../config/load.js";
import type { Config } from "../../config/schema.js";
import type { Look } from "../check.js";
import { failure, ok, warning } from "../finding.js";

/** `load` rejects as `loadConfig`. */
export function configCheck(file: string, load: () => Promise<Config>): Look {
  return async () => {
    const config = await load();
    const names = Object.keys(config.caches);
    const warnings = configWarnings(config);
    if (names.length === 0) {
      return failure(
        `${file} names no caches`,
        'Name one there: [caches.pi] and host = "raspberrypi.local".',
      );
    }
    const found = ok(`${file}: ${names.length === 1 ? "the cache" : "the caches"} ${names.join(", ")}`);
    return warnings.length === 0 ? found : warnings.map((text) => warning(text, null));
  };
}
