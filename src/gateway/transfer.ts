// A NAR on its way to a client, from the first byte asked for to the end of the response.

import type { OfferedPath } from "../protocol/offered-path.js";

/** What is to be delivered, and how far it has come. */
export interface Transfer {
  readonly info: OfferedPath;
  readonly hashPart: string;
  /** The first byte wanted. */
  readonly from: number;
  /** When it was asked for, in milliseconds since the epoch. */
  readonly since: number;
  /** The byte that comes next. */
  at: number;
  /** Whether it was cut and waits to go on. */
  waiting: boolean;
}
