// A cache's configuration for tests, with the defaults of the schema.

import { sshCacheSchema, type SshCacheConfig } from "../../src/config/cache-schema.js";

/** A `[caches.NAME]` table as it is read. */
export function cacheConfig(table: Partial<SshCacheConfig> & { readonly host: string }): SshCacheConfig {
  return sshCacheSchema.parse(table);
}
