// The one root of errors that are meant for a person: what was being done, to what, and what to do next.

/** A problem told to the user. `code` is stable and used in status and logs; `remedy` is one sentence. */
export class TetherError extends Error {
  readonly code: string;
  readonly remedy: string | undefined;

  constructor(code: string, message: string, options: { remedy?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TetherError";
    this.code = code;
    this.remedy = options.remedy;
  }
}

/** The text of anything thrown, for a log line or a status. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
