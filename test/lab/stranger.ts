// What stands in networks that are not the user's own: a machine that calls itself pi.local, and a captive portal.

import { labFolder, type Lab, type Running } from "./lab.js";

/** The stranger's address in the café. */
export const strangersAddress = "10.88.0.1";

/** A server that has said so much so far. */
export interface Server {
  /** Everything written to stdout and stderr. */
  log(): string;
  stop(): Promise<void>;
}

/** sshd with a host key of its own. It logs each connection and each step of a login. */
export async function startSshd(lab: Lab): Promise<Server> {
  const keys = `keys=$(mktemp -d ${labFolder}/stranger.XXXXXX); ssh-keygen -q -t ed25519 -N '' -f $keys/host`;
  const options = "-o LogLevel=DEBUG1 -o PidFile=none -o UsePAM=no -o UseDNS=no";
  const server = start(
    lab,
    `${keys}; mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -f /dev/null -h $keys/host ${options}`,
  );
  await lab.waitFor("the stranger's sshd", async () => server.log().includes("Server listening on"));
  return server;
}

/** avahi-daemon, which claims the name as the Pi's does at home. */
export async function startAvahi(lab: Lab): Promise<Server> {
  const script = [
    "mount --make-rprivate /",
    "mount -t tmpfs tmpfs /run",
    "mount -t tmpfs tmpfs /etc/avahi/services",
    'printf "[server]\\nhost-name=pi\\nenable-dbus=no\\n" >/run/avahi.conf',
    "exec avahi-daemon --no-drop-root --no-rlimits --no-chroot -f /run/avahi.conf",
  ].join("; ");
  const server = start(lab, `exec unshare --mount sh -c '${script}'`);
  await lab.waitFor("the stranger's avahi-daemon", async () =>
    server.log().includes("Server startup complete"),
  );
  return server;
}

/** Answers every multicast question for the address of pi.local with its own, whoever else has the name. */
export async function startMimic(lab: Lab, address: string): Promise<Server> {
  const server = start(
    lab,
    node(`
      const name = Buffer.from("\\x02pi\\x05local\\x00", "latin1");
      const record = Buffer.from([0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, ${address.replaceAll(".", ",")}]);
      const answer = Buffer.concat([Buffer.from([0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0]), name, record]);
      const socket = require("node:dgram").createSocket({ type: "udp4", reuseAddr: true });
      socket.on("message", (packet) => {
        if ((packet[2] & 0x80) !== 0 || !packet.includes(name)) return;
        console.log("asked");
        socket.send(answer, 5353, "224.0.0.251");
      });
      socket.bind(5353, () => {
        socket.addMembership("224.0.0.251", "${address}");
        socket.setMulticastInterface("${address}");
        socket.setMulticastTTL(255);
        console.log("ready");
      });`),
  );
  await lab.waitFor("the mimic", async () => server.log().includes("ready"));
  return server;
}

/** What a portal does at port 22; or it says nothing at all, not even a name's address. */
export type Portal = "refuses" | "is silent" | "speaks HTTP" | "is dead";

/** Names every machine by its own address, and takes connections to port 22 as it likes. */
export async function startPortal(lab: Lab, portal: Portal): Promise<Server> {
  const port22 = {
    refuses: "",
    "is silent": `net.createServer((s) => s.on("error", () => {})).listen(22);`,
    "speaks HTTP": `net.createServer((s) => {
      s.on("error", () => {});
      s.on("data", () => s.end("HTTP/1.1 400 Bad Request\\r\\n\\r\\n"));
    }).listen(22);`,
    "is dead": `dns.removeAllListeners("message");`,
  }[portal];
  const server = start(
    lab,
    node(`${nameServer(strangersAddress)} const net = require("node:net"); ${port22}`),
  );
  await lab.waitFor("the portal", async () => server.log().includes("ready"));
  return server;
}

/** Connections to the stranger that were taken or refused so far. */
export async function connections(lab: Lab): Promise<number> {
  const { stdout } = await lab.net("stranger", "grep ^Tcp: /proc/net/snmp");
  const [names = [], values = []] = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  const count = (name: string): number => Number(values[names.indexOf(name)]);
  return count("PassiveOpens") + count("OutRsts");
}

/** Plain Node: a DNS server that knows one address. */
export function nameServer(address: string): string {
  return `
    const dns = require("node:dgram").createSocket("udp4");
    dns.on("message", (query, from) => {
      const question = query.subarray(12, query.indexOf(0, 12) + 5);
      const known = question.readUInt16BE(question.length - 4) === 1;
      const header = [query[0], query[1], 0x81, 0x80, 0, 1, 0, known ? 1 : 0, 0, 0, 0, 0];
      const record = known ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, ${address.replaceAll(".", ",")}] : [];
      dns.send(Buffer.concat([Buffer.from(header), question, Buffer.from(record)]), from.port, from.address);
    });
    dns.bind(53, () => console.log("ready"));`;
}

function node(script: string): string {
  return `exec ${process.execPath} -e '${script}'`;
}

function start(lab: Lab, commands: string): Server {
  const running: Running = lab.start("stranger", commands);
  let log = "";
  for (const stream of [running.stdout, running.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (log += text));
  }
  return { log: () => log, stop: () => running.stop() };
}
