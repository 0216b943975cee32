// Where a farm keeps what it has: one folder each.

import path from "node:path";

export interface FarmPlaces {
  readonly folder: string;
  /** Held locked by the run under way, and says whose it is. */
  readonly lockFile: string;
  /** The repository as the farm works on it. It is the farm's own: whatever else lies in it is removed by the next run. */
  readonly checkout: string;
  /** A checkout that git could make nothing of any more, for a person to look at. */
  readonly brokenCheckout: string;
  /** A folder for each attribute, in it one for each good build, with the out-links. */
  readonly roots: string;
  /** For people: a link for each attribute to the out-link of its last good build. */
  readonly good: string;
  readonly lastReport: string;
}

/** The folder of all farms. */
export function farmsFolder(stateDir: string): string {
  return path.join(stateDir, "farms");
}

export function farmPlaces(stateDir: string, name: string): FarmPlaces {
  const folder = path.join(farmsFolder(stateDir), name);
  const at = (file: string): string => path.join(folder, file);
  return {
    folder,
    lockFile: at("lock"),
    checkout: at("checkout"),
    brokenCheckout: at("checkout.broken"),
    roots: at("roots"),
    good: at("good"),
    lastReport: at("last-report.json"),
  };
}
