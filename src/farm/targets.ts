// What a farm needs of the places that it pushes to.

/** What came of pushing some paths, with all that they need. */
export interface Pushed {
  /** Whether they have only been queued. */
  readonly queued: boolean;
  readonly paths: number;
  readonly alreadyThere: number;
  readonly bytes: number;
}

export interface PushTarget {
  readonly name: string;
  /** Rejects with a TetherError where they did not all arrive, or with the signal's reason. */
  push(
    paths: readonly string[],
    options: { readonly signal: AbortSignal; readonly onDoing: (text: string) => void },
  ): Promise<Pushed>;
}
