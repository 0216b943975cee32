// A logger for parts under test whose log lines are not what the test is about.

import { pino } from "pino";

export const silentLog = pino({ level: "silent" });
