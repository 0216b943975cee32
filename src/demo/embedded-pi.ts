// A stand-in for the machine at home: an SSH server on loopback that lets in one key and hands every
// conversation with "its nix-daemon" to a store. It can leave and come back, as a Pi does.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import ssh2 from "ssh2";

/** Where the stand-in's nix-daemon socket "is"; any other path is refused, as sshd does. */
export const embeddedDaemonSocket = "/nix/var/nix/daemon-socket/socket";

/** An SSH key pair in OpenSSH's formats. */
export interface KeyPair {
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…`, one line without its end. */
  readonly publicKey: string;
}

/** The running stand-in. */
export interface EmbeddedPi {
  readonly address: string;
  readonly port: number;
  /** A line for a known_hosts file that holds this machine's host key under the name or address `host`. */
  knownHostsLine(host: string): string;
  /** Cuts every connection and refuses new ones, until `comeBack`. */
  leave(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<void>;
  /** Leaves for good. Idempotent. */
  close(): Promise<void>;
}

/** A fresh ed25519 key pair. */
export function newKeyPair(): KeyPair {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync("ed25519");
    // ssh2 1.17 drops a zero at the front of a key: one pair in 256 is malformed.
    if (ssh2.utils.parseKey(pair.public) instanceof Error) continue;
    return { privateKey: pair.private, publicKey: pair.public.trim() };
  }
}

/**
 * Starts the stand-in on a free port of 127.0.0.1. `serve` is given each new byte stream to the nix-daemon,
 * whether it came by direct-streamlocal or by running `nix-daemon --stdio`; it owns the stream's errors.
 */
export async function startEmbeddedPi(options: {
  readonly allowedKey: string;
  readonly serve: (stream: Duplex) => void;
}): Promise<EmbeddedPi> {
  const address = "127.0.0.1";
  const hostKey = newKeyPair();
  const allowed = parsePublicKey(options.allowedKey);
  const ssh = new ssh2.Server({ hostKeys: [hostKey.privateKey] }, (connection) =>
    welcome(connection, allowed, options.serve),
  );
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    ssh.injectSocket(socket);
  });
  const port = await listen(listener, address, 0);

  const leave = async (): Promise<void> => {
    if (!listener.listening) return;
    const closed = once(listener, "close");
    listener.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    address,
    port,
    knownHostsLine: (host) => `[${host}]:${port} ${hostKey.publicKey}\n`,
    leave,
    comeBack: async () => {
      await listen(listener, address, port);
    },
    close: leave,
  };
}

async function listen(listener: Server, address: string, port: number): Promise<number> {
  listener.listen(port, address);
  await once(listener, "listening");
  return (listener.address() as AddressInfo).port;
}

function parsePublicKey(text: string): ssh2.ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key;
}

function welcome(
  connection: ssh2.Connection,
  allowed: ssh2.ParsedKey,
  serve: (stream: Duplex) => void,
): void {
  connection.on("error", () => {});
  connection.on("authentication", (context) => {
    if (isAllowed(context, allowed)) context.accept();
    else context.reject(["publickey"]);
  });
  connection.on("session", (accept) => {
    accept().on("exec", (acceptExec, rejectExec, info) => {
      if (!/^(\S*\/)?nix-daemon --stdio$/.test(info.command.trim())) return rejectExec();
      serve(acceptExec());
    });
  });
  connection.on("openssh.streamlocal", (accept, reject, info) => {
    if (info.socketPath !== embeddedDaemonSocket) return reject();
    serve(accept());
  });
}

/** Publickey authentication comes twice: first "would this key do?", then with a signature to check. */
function isAllowed(context: ssh2.AuthContext, allowed: ssh2.ParsedKey): boolean {
  if (context.method !== "publickey") return false;
  if (!context.key.data.equals(allowed.getPublicSSH())) return false;
  if (context.signature === undefined || context.blob === undefined) return true;
  return allowed.verify(context.blob, context.signature, context.hashAlgo) === true;
}
