// The Pi's sshd as an administrator may have set it up, and connections that end without a word.

import type { Lab } from "./lab.js";

/** Kills every process of a login to the Pi, which sees only its own: the connections break at once. */
export async function closeSessions(lab: Lab): Promise<void> {
  await lab.exec("pi", "for pid in $(pgrep -f '^sshd: pi'); do kill -KILL $pid || true; done");
}

/** Sets these lines of sshd_config, and breaks the connections that were made under others. */
export async function configureSshd(lab: Lab, lines: string): Promise<void> {
  await lab.exec(
    "pi",
    `cat >/etc/ssh/sshd_config.d/test.conf <<'CONF'\n${lines}\nCONF\nsystemctl restart ssh.service`,
  );
  await closeSessions(lab);
}

/** Puts these options before the user's key in authorized_keys; none: as it was. */
export async function restrictKey(lab: Lab, options: string): Promise<void> {
  await lab.exec("pi", `sed -i 's|^.*ssh-ed25519|${options}ssh-ed25519|' /home/pi/.ssh/authorized_keys`);
  await closeSessions(lab);
}
