// A way for bytes to a web server: straight, or through something that opens connections for us; with TLS where the URL
// asks for it.

import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectSecurely, type SecureContext, type TLSSocket } from "node:tls";
import { TetherError, messageOf } from "../../util/errors.js";

/** A server, as a URL names it. `host` is a name or an address without brackets. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** Opens a byte stream to a host: bounded, and rejects when that fails. Destroying the stream closes the connection. */
export type OpenStream = (host: string, port: number) => Promise<Duplex>;

/** A server needs milliseconds on a LAN; the rest is for one that has to wake up. */
const connectMs = 3_000;

/** The server that a URL names. */
export function serverOf(url: URL): Server {
  const secure = url.protocol === "https:";
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { host, port: url.port === "" ? (secure ? 443 : 80) : Number(url.port), secure };
}

/** A TCP connection. Rejects with code `no-connection`. `address` is final, no name. */
export function openTcp(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true, autoSelectFamily: false });
    const fail = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new TetherError("no-connection", `${address} port ${port}: ${why}`));
    };
    const timer = setTimeout(() => fail(`no answer within ${connectMs / 1000} s`), connectMs);
    // Stays for the socket's whole life.
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? messageOf(error)));
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** `stream` with TLS around it, once the server's certificate was accepted. Rejects with code `certificate` or `no-tls`. */
export function secured(stream: Duplex, host: string, secureContext: SecureContext): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const servername = isIP(host) === 0 ? host : "";
    const socket = connectSecurely({
      socket: stream,
      host,
      servername,
      secureContext,
      ALPNProtocols: ["http/1.1"],
    });
    const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), connectMs);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      stream.destroy();
      reject(tlsError(host, error));
    });
    socket.once("close", () =>
      reject(new TetherError("no-tls", `${host} ended the connection before TLS stood`)),
    );
    socket.once("secureConnect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** OpenSSL's errors have a `reason` of a few words. */
function tlsError(host: string, error: NodeJS.ErrnoException & { readonly reason?: string }): TetherError {
  const code = error.code ?? "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID" || /CERT|SIGNATURE|ISSUER|CRL/.test(code)) {
    return new TetherError(
      "certificate",
      `the certificate of ${host} is refused: ${error.message} (${code})`,
      {
        remedy:
          "Have the server's CA among those of the system, or name a file with it as SSL_CERT_FILE in the daemon's environment; " +
          "the name in the URL must be one of the certificate's.",
        cause: error,
      },
    );
  }
  return new TetherError("no-tls", `no TLS with ${host}: ${error.reason ?? error.message}`, {
    remedy: "If the server speaks plain HTTP there, write http:// in the URL.",
    cause: error,
  });
}
