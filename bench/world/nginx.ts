// nginx with a folder of files, as one would set it up for a binary cache on the LAN.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../test/support/sshd.js";
import { withDeadline } from "../../src/util/abort.js";
import type { Disposable } from "../scope.js";

export interface Nginx extends Disposable {
  readonly port: number;
}

/** Serves `root` on 127.0.0.1; what it needs besides lies in `dir`. */
export async function startNginx(dir: string, root: string): Promise<Nginx> {
  const port = await freePort();
  await mkdir(join(dir, "nginx"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const conf = `
user root;
worker_processes auto;
daemon off;
pid ${dir}/nginx/pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  ${temporary.map((name) => `${name}_temp_path ${dir}/nginx/${name};`).join("\n  ")}
  server { listen 127.0.0.1:${port}; root ${root}; }
}
`;
  await writeFile(join(dir, "nginx", "conf"), conf);
  const child = spawn("nginx", ["-c", join(dir, "nginx", "conf"), "-e", "stderr"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(child, "close");
  const answers = async (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/nix-cache-info`, { signal: AbortSignal.timeout(1_000) }).then(
      (response) => response.ok,
      () => false,
    );
  for (let tries = 0; !(await answers()); tries += 1) {
    if (tries > 50 || child.exitCode !== null) throw new Error("nginx does not serve");
    await sleep(50);
  }
  return {
    port,
    dispose: async () => {
      child.kill("SIGTERM");
      await withDeadline(ended, 10_000, "ending nginx");
    },
  };
}
