// What a check has found: whether all is well, in a sentence, and when it is not, the one thing to do.

/** `skipped` is what was not looked at, or need not be. Only a `failure` must be mended. */
export type Mark = "ok" | "warning" | "failure" | "skipped";

export interface Finding {
  readonly mark: Mark;
  /** A sentence without its full stop. */
  readonly text: string;
  /** Null where there is nothing to do. */
  readonly remedy: string | null;
}

export function ok(text: string): Finding {
  return { mark: "ok", text, remedy: null };
}

export function warning(text: string, remedy: string | null): Finding {
  return { mark: "warning", text, remedy };
}

export function failure(text: string, remedy: string | null): Finding {
  return { mark: "failure", text, remedy };
}

export function skipped(text: string): Finding {
  return { mark: "skipped", text, remedy: null };
}
