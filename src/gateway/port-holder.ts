// Says in words which process listens on a TCP port, as far as this user may know, for the error that tells it.

import { readFile, readdir, readlink } from "node:fs/promises";

import { listening, parseTcpTable } from "./proc-net-tcp.js";

/** e.g. `node (process 4242)` or `a process of the user alice`; null when nothing can be told. */
export async function describePortHolder(port: number): Promise<string | null> {
  const tables = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map(async (table) => readFile(table, "latin1").catch(() => "")),
  );
  const row = tables
    .flatMap(parseTcpTable)
    .find((candidate) => candidate.state === listening && candidate.localPort === port);
  if (row === undefined) return null;
  const processes = await readdir("/proc").catch(() => []);
  for (const pid of processes.filter((name) => /^\d+$/.test(name))) {
    if (await holds(pid, `socket:[${row.inode}]`)) {
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "a process");
      return `${name.trim()} (process ${pid})`;
    }
  }
  return `a process of the user ${(await userName(row.uid)) ?? `with uid ${row.uid}`}`;
}

/** The name in passwd(5), where users of this machine alone stand. */
async function userName(uid: number): Promise<string | undefined> {
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const fields = users.split("\n").map((line) => line.split(":"));
  return fields.find((user) => user[2] === String(uid))?.[0];
}

/** Whether a process has this open; another user's processes do not let us see. */
async function holds(pid: string, link: string): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  for (const fd of await readdir(folder).catch(() => [])) {
    if ((await readlink(`${folder}/${fd}`).catch(() => "")) === link) return true;
  }
  return false;
}
