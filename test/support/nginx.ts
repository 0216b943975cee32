// A real nginx on loopback, in one process, with all of its files in one temp folder.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openTcp } from "../../src/upstream/http/road.js";
import { eventually } from "./eventually.js";
import { freePort } from "./sshd.js";

const run = promisify(execFile);

export interface Nginx {
  readonly dir: string;
  /** By the names of the servers. */
  readonly ports: Readonly<Record<string, number>>;
  /** Ends it, at once. */
  kill(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

/** `servers` gives for each server's name what stands in its block, but where it listens. */
export async function startNginx(servers: Readonly<Record<string, string>>): Promise<Nginx> {
  const dir = await mkdtemp(join(tmpdir(), "nix-tether-nginx-"));
  const ports: Record<string, number> = {};
  for (const name of Object.keys(servers)) ports[name] = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const blocks = Object.entries(servers).map(([name, text]) => {
    const secure = text.includes("ssl_certificate") ? " ssl" : "";
    const filled = text.replaceAll(/PORT_(\w+)/g, (_, other: string) => String(ports[other]));
    return `server { listen 127.0.0.1:${ports[name]}${secure}; ${filled} }`;
  });
  const file = join(dir, "nginx.conf");
  await writeFile(
    file,
    `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log;
events {}
http {
  access_log ${dir}/access.log;
  ${temporary.map((name) => `${name}_temp_path ${dir}/${name};`).join(" ")}
  ${blocks.join("\n  ")}
}
`,
  );
  let child: ChildProcess | null = null;
  const kill = async (): Promise<void> => {
    const running = child;
    child = null;
    if (running === null || running.exitCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  };
  const start = async (): Promise<void> => {
    child = spawn("nginx", ["-p", dir, "-c", file, "-e", join(dir, "error.log")], { stdio: "ignore" });
    child.on("error", () => undefined);
    await eventually("nginx listens", async () => {
      const sockets = await Promise.all(
        Object.values(ports).map((port) => openTcp("127.0.0.1", port).catch(() => null)),
      );
      for (const socket of sockets) socket?.destroy();
      return !sockets.includes(null);
    });
  };
  await start();
  return {
    dir,
    ports,
    kill,
    start,
    dispose: async () => {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Makes a certificate for 127.0.0.1 that is its own CA, in `dir`; resolves to the lines that nginx is given it by. */
export async function makeCertificate(dir: string, name: string): Promise<{ file: string; lines: string }> {
  const file = join(dir, `${name}.pem`);
  const key = join(dir, `${name}.key`);
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
  await run("openssl", ["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", file]);
  return { file, lines: `ssl_certificate ${file}; ssl_certificate_key ${key};` };
}
