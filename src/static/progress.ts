// How far work on a whole static cache has come.

export interface Progress {
  readonly doing: "reading" | "checking" | "removing";
  /** Files; of `checking`, bytes. */
  readonly done: number;
  readonly all: number;
}
