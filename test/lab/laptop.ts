// What happens to the laptop from outside: it is carried to the café and home, gets other interfaces and addresses, and
// is put to sleep.

import { namespaceOf, type Lab } from "./lab.js";

/** Where the laptop is, and how NetworkManager is told. Every lab begins at home, with the connection `lab`. */
export class Laptop {
  readonly #lab: Lab;
  #isAtHome = true;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Sets up what NetworkManager knows of the café, and name servers in both places. */
  async prepare(nameServers: { readonly home: string; readonly cafe: string }): Promise<void> {
    await this.#run(
      `nmcli con mod lab ipv4.dns ${nameServers.home}
      nmcli con add con-name cafe type ethernet ifname eth0 autoconnect no ipv4.method manual \\
        ipv4.addresses 10.88.0.2/24 ipv4.dns ${nameServers.cafe} ipv6.method link-local`,
    );
  }

  /** Another switch and another subnet; nothing where it is there already. */
  async goTo(place: "home" | "cafe"): Promise<void> {
    if (this.#isAtHome === (place === "home")) return;
    this.#isAtHome = place === "home";
    await this.#lab.cable("laptop", place);
    await this.#run(`nmcli con up ${place === "home" ? "lab" : "cafe"}`);
  }

  /** Joins the same network once more, as NetworkManager does when a lease is renewed by hand. */
  async rejoinCafe(): Promise<void> {
    await this.#run("nmcli con up cafe");
  }

  /** Changes the connection at home, such as `ipv4.addresses 10.78.0.2/24`, and uses it. */
  async set(properties: string): Promise<void> {
    await this.#run(`nmcli con mod lab ${properties}; nmcli con up lab`);
  }

  /** A second interface `wlan0` at home, less preferred than the cable: 10.77.0.3. Its cable is called `wifi`. */
  async addWifi(): Promise<void> {
    await this.#run(
      `nmcli con add con-name wifi type ethernet ifname wlan0 ipv4.method manual ipv4.addresses 10.77.0.3/24 \\
        ipv4.route-metric 600 ipv6.method link-local`,
    );
    await this.#lab.net(
      "switch",
      `ip link add to-wifi type veth peer name wlan0 netns ${namespaceOf("laptop")}; ip link set to-wifi master br-home up`,
    );
    await this.#lab.waitFor("Wi-Fi", async () => {
      const { stdout } = await this.#lab.exec("laptop", "ping -c 1 -W 1 -I wlan0 10.77.0.1");
      return stdout.includes("1 received");
    });
  }

  async removeWifi(): Promise<void> {
    await this.#lab.net("switch", "ip link del to-wifi");
    await this.#run("nmcli con del wifi");
  }

  /**
   * An interface `tun0` to the Pi that NetworkManager leaves alone, as some VPNs have: from 10.99.0.2 to 10.99.0.1. The
   * ends in between are called `tun-laptop` and `tun-pi`.
   */
  async addTunnel(): Promise<void> {
    await this.#run(
      `printf '[keyfile]\\nunmanaged-devices=interface-name:tun0\\n' >/etc/NetworkManager/conf.d/tun.conf
      nmcli general reload`,
    );
    for (const [host, address] of [
      ["laptop", "10.99.0.2"],
      ["pi", "10.99.0.1"],
    ] as const) {
      await this.#lab.net(
        "switch",
        `ip link add tun-${host} type veth peer name tun0 netns ${namespaceOf(host)}
        ip link set tun-${host} master br-cafe up`,
      );
      await this.#lab.net(host, `ip address add ${address}/24 dev tun0; ip link set tun0 up`);
    }
  }

  async removeTunnel(): Promise<void> {
    await this.#lab.net("switch", "ip link del tun-laptop; ip link del tun-pi", { mayFail: true });
  }

  /** What the laptop's sleep consists of from now on. logind's part of it is real. */
  async sleepIs(script: string): Promise<void> {
    const folder = "/run/systemd/system/systemd-suspend.service.d";
    await this.#run(
      `mkdir -p ${folder}
      cat >/run/asleep.sh <<'SCRIPT'\n${script}\nSCRIPT
      printf '[Service]\\nExecStart=\\nExecStart=/bin/sh /run/asleep.sh\\n' >${folder}/test.conf
      systemctl daemon-reload`,
    );
  }

  async #run(commands: string): Promise<void> {
    await this.#lab.exec("laptop", commands);
  }
}
