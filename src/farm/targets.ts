// What a farm needs of the places that it pushes to.

/** What came of pushing some paths, with all that they need. */
export interface Pushed {
  /** Whether they have only been queued. */
  readonly queued: boolean;
  readonly paths: number;
  readonly alreadyThere: number;
  readonly bytes: number;
  /** Of those that were sent without a signature. */
  readonly unsigned: number;
}

export interface PushTarget {
  readonly name: string;
  /** The secret key file that it signs with, if any. */
  readonly signingKey: string | null;
  /** Rejects with a TetherError where they did not all arrive, or with the signal's reason. */
  push(
    paths: readonly string[],
    options: {
      readonly signal: AbortSignal;
      /** Told what goes on; may come often. */
      readonly onDoing: (text: string) => void;
      /** Told what a person should know. */
      readonly onNotice: (text: string) => void;
    },
  ): Promise<Pushed>;
}
