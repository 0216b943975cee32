// The post-build hook as an administrator installs it, with a watch in hand: how long each build waits for it.

import type { Lab } from "./lab.js";

/** Milliseconds of one run of the hook: by the clock, and of the processor's time. */
interface HookTime {
  readonly real: number;
  readonly cpu: number;
}

const times = "/run/hook-times";

// What the hook says goes where it would without this.
const script = `#!/bin/bash
TIMEFORMAT='%3R %3U %3S'
exec 3>&2
{ time /opt/nix-tether/hooks/post-build-hook.sh 2>&3; } 2>>${times}
`;

/** Has the laptop's nix-daemon run it for what `dev` uploads. */
export async function installTimedHook(lab: Lab): Promise<void> {
  await lab.exec(
    "laptop",
    `mkdir -p /etc/nix-tether; echo "user = dev" >/etc/nix-tether/hook.conf
    cat >/etc/nix-tether/timed-hook <<'HOOK'\n${script}\nHOOK
    chmod 755 /etc/nix-tether/timed-hook
    echo "post-build-hook = /etc/nix-tether/timed-hook" >>/etc/nix/nix.conf
    systemctl stop nix-daemon.service; systemctl start nix-daemon.socket`,
  );
}

/** What it took since the last time this was asked. */
export async function takeHookTimes(lab: Lab): Promise<HookTime[]> {
  const { stdout } = await lab.exec("laptop", `cat ${times}; rm ${times}`);
  return stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [real = NaN, user = NaN, system = NaN] = line.split(" ").map((seconds) => Number(seconds) * 1000);
      return { real, cpu: user + system };
    });
}

/** The least, the median, nine in ten, and the most. */
export function quantiles(values: readonly number[]): readonly [number, number, number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
  return [at(0), at(0.5), at(0.9), at(1)];
}
