// What a store tells of one of its paths; everything that comes from a nix-daemon or goes to Nix is about this.

/** What a store knows of one of its paths (worker protocol's ValidPathInfo). */
export interface PathInfo {
  /** Full path, `/nix/store/<hash>-<name>`. */
  readonly path: string;
  /** SHA-256 of the NAR, as 64 lower-case hexadecimal digits, without a prefix. */
  readonly narHash: string;
  /** Length of the NAR in bytes. */
  readonly narSize: number;
  /** Full store paths, in the order given. */
  readonly references: readonly string[];
  /** Full store path of the derivation, or null. */
  readonly deriver: string | null;
  /** `name:base64` each. */
  readonly signatures: readonly string[];
  /** Content address, e.g. `fixed:r:sha256:…`, or null. */
  readonly ca: string | null;
}
