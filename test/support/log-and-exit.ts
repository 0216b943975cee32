// Logs more than a pipe holds and exits at once; the log's test counts what arrives.

import { createLog } from "../../src/daemon/log.js";

const log = createLog({ env: {} });
for (let count = 0; count < 5000; count++) log.info({ count }, "a line of the log");
process.exit(0);
