// What most lab tests begin with: both machines up, and the daemon on the laptop has the Pi listed.

import { afterAll, beforeAll, beforeEach } from "vitest";
import { Lab, type NixVersion } from "./lab.js";
import { Tether, onePi } from "./tether.js";

/** A lab whose daemon lists the Pi. */
export interface TetheredLab {
  readonly lab: Lab;
  readonly tether: Tether;
  /** Of the daemon. */
  readonly pid: number;
}

export interface TetheredLabOptions {
  readonly nix: NixVersion;
  /** The daemon's configuration; the Pi by its multicast name where none is given. It names a cache `pi`. */
  readonly config?: string;
  /** What is to be done before the daemon is installed. */
  readonly prepare?: (lab: Lab) => Promise<unknown>;
}

/**
 * To be called in a `describe`: brings such a lab up before its tests and takes it down after them. When one of them fails,
 * the end of the daemon's log is printed. `onUp` is called once, before the tests.
 */
export function useTetheredLab(options: TetheredLabOptions, onUp: (up: TetheredLab) => void): void {
  let lab: Lab | null = null;
  let tether: Tether;

  beforeAll(async () => {
    lab = await Lab.up({ nix: options.nix });
    await options.prepare?.(lab);
    tether = await Tether.install(lab, options.config ?? onePi);
    await tether.waitListed(["pi"]);
    const { pid } = await tether.status();
    onUp({ lab, tether, pid });
  });

  afterAll(() => lab?.down());

  beforeEach(() => tether.showLogOnFailure());
}
