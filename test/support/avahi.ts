// A real avahi-daemon in a network namespace, with its own /run and services folder and without a bus.

import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Namespace, stopChild } from "./netns.js";

/** A running avahi-daemon. */
export interface Avahi {
  /** Ends it. SIGTERM (the default) says goodbye on the network, SIGKILL says nothing. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** A service for avahi to publish; `%h` in the instance name stands for the host name. */
export interface PublishedService {
  readonly instance: string;
  readonly type: string;
  readonly port: number;
}

const escapeXml = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

const serviceFile = (service: PublishedService): string =>
  `<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group><name replace-wildcards="yes">${escapeXml(service.instance)}</name>
<service><type>${service.type}</type><port>${service.port}</port></service></service-group>
`;

/** Starts avahi-daemon as `<hostname>.local` and waits until it has claimed the name. */
export async function startAvahi(
  namespace: Namespace,
  options: { readonly hostname: string; readonly services?: readonly PublishedService[] },
): Promise<Avahi> {
  const folder = await mkdtemp(join(tmpdir(), "nix-tether-avahi-"));
  const config = join(folder, "avahi.conf");
  await writeFile(config, `[server]\nhost-name=${options.hostname}\nenable-dbus=no\n`);
  for (const [index, service] of (options.services ?? []).entries()) {
    await writeFile(join(folder, `${index}.service`), serviceFile(service));
  }
  const script = [
    "mount --make-rprivate /",
    "mount -t tmpfs tmpfs /run",
    `mount --bind ${folder} /etc/avahi/services`,
    `exec avahi-daemon --no-drop-root --no-rlimits --no-chroot -f ${config}`,
  ].join(" && ");
  const child = namespace.spawn("unshare", "--mount", "sh", "-c", script);
  try {
    await started(child);
  } catch (error) {
    await stopChild(child, "SIGKILL");
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    stop: async (signal) => {
      await stopChild(child, signal);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const timer = setTimeout(() => reject(new Error(`avahi-daemon did not start: ${output}`)), 15_000);
    const listen = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!output.includes("Server startup complete")) return;
      clearTimeout(timer);
      resolve();
    };
    child.stderr?.on("data", listen);
    child.stdout?.on("data", listen);
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`avahi-daemon ended with ${code}: ${output}`));
    });
  });
}
