// A cache's configuration for tests, with the defaults of the schema.

import { cacheSchema, type CacheConfig } from "../../src/config/schema.js";

/** A `[caches.NAME]` table as it is read. */
export function cacheConfig(table: Partial<CacheConfig> & { readonly host: string }): CacheConfig {
  return cacheSchema.parse(table);
}
