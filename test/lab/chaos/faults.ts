// The faults: how each is made and undone, and the order in which a seed deals them.

import type { Lab } from "../lab.js";
import { closeSessions } from "../pi-sshd.js";
import { Random } from "../../support/random.js";

export interface Fault {
  readonly name: string;
  /** Two faults that touch the same thing never overlap. */
  readonly touches: "air" | "sshd" | "nix-daemon" | "names" | "laptop's network" | "daemon" | "agent";
  begin(lab: Lab): Promise<unknown>;
  /** Puts everything right again, whatever has become of it meanwhile. */
  end(lab: Lab): Promise<unknown>;
}

const dev = (lab: Lab, commands: string): Promise<unknown> => lab.user("laptop", "dev", commands);
const nothing = (): Promise<void> => Promise.resolve();

const restartSshd = "systemctl reset-failed ssh.service; systemctl start ssh.service";
const restoreDaemon =
  "systemctl --user reset-failed nix-tether.service; systemctl --user start nix-tether.socket nix-tether.service";

/** Every address of the Pi goes, the link-local one too, by which it might be reached as well. */
const movePi = (lab: Lab, last: number): Promise<unknown> =>
  lab.exec(
    "pi",
    `ip addr flush dev eth0; ip addr add 10.77.0.${last}/24 dev eth0; ip addr add fe80::${last}/64 dev eth0`,
  );

const moveLaptop = (lab: Lab, last: number): Promise<unknown> =>
  lab.exec(
    "laptop",
    `nmcli connection modify lab ipv4.addresses 10.77.0.${last}/24; nmcli connection up lab`,
  );

/** Drops what matches, in both directions, without a word to either side. */
const drop = (lab: Lab, to: string, from: string): Promise<unknown> =>
  lab.exec(
    "pi",
    `nft -f - <<'NFT'
table inet chaos {
  chain in { type filter hook input priority 0; iifname eth0 ${to} drop; }
  chain out { type filter hook output priority 0; oifname eth0 ${from} drop; }
}
NFT`,
  );
const letThrough = (lab: Lab): Promise<unknown> => lab.exec("pi", "nft delete table inet chaos");

/** The agent asks through this program instead of a terminal. */
const askpass =
  "printf '#!/bin/sh\\necho chaos\\n' >/tmp/askpass; chmod 755 /tmp/askpass; " +
  "export SSH_ASKPASS=/tmp/askpass SSH_ASKPASS_REQUIRE=force;";

export const faults: readonly Fault[] = [
  {
    name: "laptop's cable pulled",
    touches: "air",
    begin: (lab) => lab.cable("laptop", "down"),
    end: (lab) => lab.cable("laptop", "up"),
  },
  {
    name: "Pi's cable pulled",
    touches: "air",
    begin: (lab) => lab.cable("pi", "down"),
    end: (lab) => lab.cable("pi", "up"),
  },
  {
    name: "all packets dropped",
    touches: "air",
    begin: (lab) => drop(lab, "", ""),
    end: letThrough,
  },
  {
    name: "SSH's packets dropped",
    touches: "air",
    begin: (lab) => drop(lab, "tcp dport 22", "tcp sport 22"),
    end: letThrough,
  },
  {
    name: "sshd killed",
    touches: "sshd",
    begin: async (lab) => {
      await lab.exec("pi", "systemctl stop ssh.service");
      await closeSessions(lab);
    },
    end: (lab) => lab.exec("pi", restartSshd),
  },
  {
    name: "SSH sessions killed",
    touches: "sshd",
    begin: closeSessions,
    end: nothing,
  },
  {
    name: "sshd frozen",
    touches: "sshd",
    begin: (lab) => lab.exec("pi", "pkill -STOP -x sshd"),
    end: (lab) => lab.exec("pi", "pkill -CONT -x sshd"),
  },
  {
    name: "Pi's nix-daemon killed",
    touches: "nix-daemon",
    begin: (lab) => lab.exec("pi", "systemctl kill --signal=KILL nix-daemon.service || true"),
    end: (lab) =>
      lab.exec("pi", "systemctl reset-failed nix-daemon.service; systemctl start nix-daemon.socket"),
  },
  {
    name: "Pi's nix-daemon frozen",
    touches: "nix-daemon",
    begin: (lab) => lab.exec("pi", "systemctl kill --signal=STOP nix-daemon.service || true"),
    end: (lab) => lab.exec("pi", "systemctl kill --signal=CONT nix-daemon.service || true"),
  },
  {
    name: "Pi's address changed",
    touches: "air",
    begin: (lab) => movePi(lab, 9),
    end: (lab) => movePi(lab, 1),
  },
  {
    name: "laptop's address changed",
    touches: "laptop's network",
    begin: (lab) => moveLaptop(lab, 3),
    end: (lab) => moveLaptop(lab, 2),
  },
  {
    name: "Pi's avahi stopped",
    touches: "names",
    begin: (lab) => lab.exec("pi", "systemctl stop avahi-daemon.socket avahi-daemon.service"),
    end: (lab) => lab.exec("pi", "systemctl start avahi-daemon.socket avahi-daemon.service"),
  },
  {
    name: "NetworkManager restarted",
    touches: "laptop's network",
    begin: (lab) => lab.exec("laptop", "systemctl restart NetworkManager.service"),
    end: (lab) => lab.exec("laptop", "systemctl start NetworkManager.service"),
  },
  {
    name: "system bus restarted",
    touches: "laptop's network",
    begin: (lab) => lab.exec("laptop", "systemctl restart dbus.service"),
    // They end with the bus.
    end: (lab) =>
      lab.exec(
        "laptop",
        "systemctl reset-failed; systemctl start dbus.service NetworkManager.service avahi-daemon.service",
      ),
  },
  {
    name: "daemon restarted",
    touches: "daemon",
    begin: (lab) => dev(lab, "systemctl --user restart nix-tether.service"),
    end: (lab) => dev(lab, restoreDaemon),
  },
  {
    name: "daemon ended by SIGTERM",
    touches: "daemon",
    begin: (lab) => dev(lab, "systemctl --user kill --kill-who=main --signal=TERM nix-tether.service"),
    end: (lab) => dev(lab, restoreDaemon),
  },
  {
    name: "daemon ended by SIGKILL",
    touches: "daemon",
    begin: (lab) => dev(lab, "systemctl --user kill --kill-who=main --signal=KILL nix-tether.service"),
    end: (lab) => dev(lab, restoreDaemon),
  },
  {
    name: "agent locked",
    touches: "agent",
    begin: async (lab) => {
      await dev(lab, `${askpass} ssh-add -x </dev/null`);
      await closeSessions(lab);
    },
    end: (lab) => dev(lab, `${askpass} ssh-add -X </dev/null`),
  },
];

/** One deal: these faults begin together, each ends after its time; then comes a rest. Times in milliseconds. */
export interface Deal {
  readonly faults: readonly { readonly name: string; readonly holdMs: number }[];
  /** Whether the rest begins only when the cache is listed again. */
  readonly recover: boolean;
  readonly restMs: number;
}

/** How long things last. */
export type Pace = "brisk" | "real";

// Short enough that nothing is noticed, long enough to be noticed, and longer than anything is waited for.
const holds = {
  brisk: [
    { weight: 50, low: 100, high: 1_500 },
    { weight: 50, low: 2_000, high: 6_000 },
  ],
  real: [
    { weight: 45, low: 100, high: 2_000 },
    { weight: 40, low: 2_000, high: 9_000 },
    { weight: 15, low: 10_000, high: 40_000 },
  ],
} as const;
const longestRestMs = { brisk: 1_500, real: 6_000 } as const;

/** The endless sequence of deals that follows from a seed. Every fault comes once before any comes again. */
export function* deals(seed: string, pace: Pace): Generator<Deal, never> {
  const random = new Random(`${seed}/faults`);
  let deck: Fault[] = [];
  const draw = (fits: (fault: Fault) => boolean): Fault => {
    if (!deck.some(fits)) deck = [...deck, ...random.shuffled(faults)];
    const [drawn] = deck.splice(deck.findIndex(fits), 1);
    if (drawn === undefined) throw new Error("no such fault");
    return drawn;
  };
  for (;;) {
    const first = draw(() => true);
    const second = random.chance(0.2) ? [draw(({ touches }) => touches !== first.touches)] : [];
    const held = [first, ...second].map(({ name }) => {
      const { low, high } = random.pick<{ weight: number; low: number; high: number }>(holds[pace]);
      return { name, holdMs: random.between(low, high) };
    });
    yield { faults: held, recover: random.chance(0.5), restMs: random.between(0, longestRestMs[pace]) };
  }
}
