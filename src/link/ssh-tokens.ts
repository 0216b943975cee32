// The `~`, `%` and `${}` notations that ssh_config(5) allows in file names and that `ssh -G` prints unexpanded.

/** What the notations stand for. */
export interface TokenValues {
  /** Home folder of the local user. */
  readonly home: string;
  /** The host as the user wrote it (`%n`) and as ssh_config resolves it (`%h`). */
  readonly originalHost: string;
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  readonly localUser: string;
  readonly localHost: string;
  readonly uid: number;
  readonly hostKeyAlias: string | null;
  readonly env: NodeJS.ProcessEnv;
}

/** A file name of ssh_config made absolute. An unknown token or an unset variable is left as it stands. */
export function expandTokens(text: string, values: TokenValues): string {
  const tokens: Readonly<Record<string, string>> = {
    "%": "%",
    d: values.home,
    h: values.hostname,
    i: String(values.uid),
    k: values.hostKeyAlias ?? values.hostname,
    L: values.localHost.split(".", 1)[0] ?? "",
    l: values.localHost,
    n: values.originalHost,
    p: String(values.port),
    r: values.user,
    u: values.localUser,
  };
  return expandHome(text, values.home)
    .replace(/\$\{(\w+)\}/g, (whole, name: string) => values.env[name] ?? whole)
    .replace(/%(.)/g, (whole, letter: string) => tokens[letter] ?? whole);
}

/** `~` and `~/…` made absolute. */
export function expandHome(path: string, home: string): string {
  return path === "~" || path.startsWith("~/") ? home + path.slice(1) : path;
}
