// What `findBySsh` needs where a test does not care about ciphers.

import type { Processors } from "../../src/link/processors-file.js";
import { cipherOrder } from "../../src/link/ciphers.js";

/** Knows no machine and learns nothing. */
export const noProcessors: Processors = {
  ciphersFor: ({ ciphers }) => cipherOrder({ configured: ciphers, here: null, there: null }),
  learn: () => undefined,
};
