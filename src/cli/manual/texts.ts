// What nix-tether(1) says beyond what can be read off the program.

import type { Dirs } from "../../config/dirs.js";

type Entry = readonly [what: string, text: string];

/** Paragraphs. */
export const about: readonly string[] = [
  "nix-tether finds machines of yours that run sshd and Nix, holds one SSH connection to each while it is in reach, and offers " +
    "their stores to Nix as binary caches on `127.0.0.1`. When a machine goes away, its cache is taken out of Nix's configuration " +
    "before anything else, and Nix goes on as if there had never been one.",
  "The daemon is `nix-tether run`, which is usually a systemd service of the user. The other commands talk to it.",
];

export const environment: readonly Entry[] = [
  [
    "NIX_TETHER_LOG",
    "How much is logged: `trace`, `debug`, `info` (the default), `warn`, `error`, `fatal` or `silent`. With `debug` a command that " +
      "fails also shows where in the program it did.",
  ],
  ["NO_COLOR", "With any value there are no colours. There are none in pipes and files in any case."],
  ["TERM", "With `dumb` what is shown on a terminal is said in sentences, as with `--plain`."],
  ["SSH_AUTH_SOCK", "The ssh-agent's socket, where neither the configuration nor ssh's own names one."],
  [
    "XDG_CONFIG_HOME , XDG_STATE_HOME , XDG_RUNTIME_DIR",
    "Where files lie, see below. The first two are by default `~/.config` and `~/.local/state`.",
  ],
  [
    "NIX_USER_CONF_FILES , NIX_CONFIG , XDG_CONFIG_DIRS",
    "Looked at, as Nix does, to find out whether it reads the override.",
  ],
];

/** `dirs` has paths with a slash too many at the front. */
export function files(dirs: Dirs): Entry[] {
  const shown = (path: string): string => path.slice(1);
  return [
    [shown(dirs.configFile), "The configuration."],
    [
      shown(dirs.overrideFile),
      "The override, written by the daemon: Nix's settings for the caches that are in reach at the moment.",
    ],
    [
      shown(dirs.nixConf),
      "Your configuration of Nix, which ends with `!include nix-tether.conf`. It is only read.",
    ],
    [shown(dirs.controlSocket), "Where the daemon listens to the other commands."],
    [
      shown(dirs.cacheSocket("NAME")),
      "Joined to the nix-daemon of the cache `NAME`, while that is online, for `nix copy --to unix://…`.",
    ],
    [shown(dirs.spoolDir), "What waits for its upload."],
    [shown(dirs.generationFile), "Which of its sixteen URLs each cache has now."],
    [shown(dirs.pausedFile), "Which caches are paused."],
    ["/etc/nix-tether/hook.conf", "What root's post-build hook is to do."],
    ["/etc/nix-tether/root.conf", "Which caches root's own commands may use."],
  ];
}

/** What one wants, and the command for it. */
export const examples: readonly Entry[] = [
  ["See the whole of it on this machine alone, in some seconds:", "nix-tether demo"],
  ["Say which caches are in use, and why the others are not:", "nix-tether status"],
  ["Look at everything that must be right, and say what to do about it:", "nix-tether doctor"],
  ["Wait in a script until the Pi is there:", "until nix-tether status pi --quiet; do sleep 1; done"],
  ["Say why this was built, and not fetched from the Pi:", "nix-tether explain ./result"],
  ["Leave the Pi alone for a while, restarts included:", "nix-tether pause pi"],
  ["Upload a build, and wait for its arrival:", "nix-tether enqueue --wait ./result"],
  ["Copy to the Pi by hand:", "nix copy --to unix://$XDG_RUNTIME_DIR/nix-tether/pi.sock ./result"],
  ["Have the words of this command completed in this bash:", "source <(nix-tether completion bash)"],
];

export const seeAlso: readonly (readonly [name: string, chapter: number])[] = [
  ["nix-copy-closure", 1],
  ["ssh", 1],
  ["ssh-agent", 1],
  ["systemctl", 1],
  ["nix.conf", 5],
  ["ssh_config", 5],
  ["nix-daemon", 8],
];
