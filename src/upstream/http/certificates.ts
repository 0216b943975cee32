// The certificate authorities that count: those of the system, as Nix has them, or else those that come with Node.

import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { TetherError, messageOf } from "../../util/errors.js";

/** Where systems keep them: Debian and NixOS, Fedora, SUSE, Alpine. */
const usual = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Far above any real one. */
const maxBytes = 16 * 1024 * 1024;

/**
 * For connections to servers. A file that the environment names (`NIX_SSL_CERT_FILE`, `SSL_CERT_FILE`) must be there.
 * @throws TetherError `certificates-unreadable`
 */
export async function trustedAuthorities(env: NodeJS.ProcessEnv): Promise<SecureContext> {
  const named = env["NIX_SSL_CERT_FILE"] || env["SSL_CERT_FILE"];
  if (named !== undefined && named !== "") {
    const ca = await readBounded(named).catch((error: unknown) => {
      throw new TetherError(
        "certificates-unreadable",
        `the certificates in ${named} can not be read: ${messageOf(error)}`,
        {
          remedy: "Correct NIX_SSL_CERT_FILE or SSL_CERT_FILE in the daemon's environment.",
          cause: error,
        },
      );
    });
    return createSecureContext({ ca });
  }
  for (const file of usual) {
    const ca = await readBounded(file).catch(() => null);
    if (ca !== null) return createSecureContext({ ca });
  }
  return createSecureContext();
}

async function readBounded(file: string): Promise<string> {
  const info = await stat(file);
  if (!info.isFile() || info.size > maxBytes) throw new Error("it is no file of certificates");
  return readFile(file, "utf8");
}
