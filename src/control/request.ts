// A line from a client, checked: what comes over the socket is trusted no further than its sender's typing.

import { z } from "zod";
import { TetherError } from "../util/errors.js";
import type { ControlRequest } from "./messages.js";

const cache = z.string("a cache's name or null").max(64).nullable().default(null);

const paths = z.array(z.string("a store path").max(300), "a list of store paths");

const hashPart = z
  .string("the 32 characters that a store path begins with")
  .regex(/^[0-9abcdfghijklmnpqrsvwxyz]{32}$/, "the 32 characters that a store path begins with");

const now = z.boolean("true or false").optional();

const requestSchema: z.ZodType<ControlRequest> = z.discriminatedUnion(
  "command",
  [
    z.strictObject({ command: z.literal("status") }),
    z.strictObject({ command: z.literal("pause"), cache }),
    z.strictObject({ command: z.literal("resume"), cache }),
    z.strictObject({ command: z.literal("connect"), cache }),
    z.strictObject({ command: z.literal("recheck"), cache }),
    z.strictObject({ command: z.literal("explain"), hashPart }),
    z.strictObject({ command: z.literal("queue") }),
    z.strictObject({ command: z.literal("queue-retry"), paths: paths.nullable().default(null), now }),
    z.strictObject({ command: z.literal("queue-drop"), paths: paths.nullable().default(null) }),
    z.strictObject({ command: z.literal("enqueue"), paths, now }),
  ],
  'an object with "command" being "status", "pause", "resume", "connect", "recheck", "explain", "queue", "queue-retry", "queue-drop" or "enqueue"',
);

/**
 * The request in one line of JSON.
 * @throws TetherError `bad-request`, saying what is wrong with it.
 */
export function parseRequest(line: string): ControlRequest {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    throw new TetherError("bad-request", "the request is not JSON", { cause: error });
  }
  const parsed = requestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => [...issue.path, issue.message].join(": "));
  throw new TetherError("bad-request", `the request is not understood: ${problems.join("; ")}`);
}
