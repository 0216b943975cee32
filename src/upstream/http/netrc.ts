// Names and passwords from a netrc file, the format of ftp(1) that curl and Nix read.

import { readFile, stat } from "node:fs/promises";
import { TetherError, messageOf } from "../../util/errors.js";

export interface Login {
  readonly name: string;
  readonly password: string;
}

const maxBytes = 1024 * 1024;

/**
 * The login for `host` in `text`, or null. Only a `machine` entry counts, whatever the case of its name: what `default`
 * offers would be told to whoever answers.
 */
export function loginFor(host: string, text: string): Login | null {
  const words = wordsOf(text);
  let found = false;
  let name: string | null = null;
  let password: string | null = null;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at];
    if (word === "machine" || word === "default") {
      if (found) break;
      if (word === "machine") found = words[(at += 1)]?.toLowerCase() === host.toLowerCase();
    } else if (word === "login" || word === "password" || word === "account") {
      const value = words[(at += 1)] ?? "";
      if (found && word === "login") name = value;
      if (found && word === "password") password = value;
    }
  }
  return found && (name !== null || password !== null)
    ? { name: name ?? "", password: password ?? "" }
    : null;
}

/** Words may be quoted; a macro goes on to the next empty line. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  let inMacro = false;
  for (const line of text.split("\n")) {
    if (inMacro) {
      inMacro = line.trim() !== "";
      continue;
    }
    for (const [, quoted, plain] of line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) {
      if (plain?.startsWith("#") === true && words.at(-1) !== "password") break;
      if (plain === "macdef") {
        inMacro = true;
        break;
      }
      words.push(quoted === undefined ? (plain ?? "") : quoted.replaceAll(/\\(.)/g, "$1"));
    }
  }
  return words;
}

/**
 * The value of the `Authorization` header for `host`, or null where the file has none. A file that is not there is empty,
 * unless it `mustBe`.
 * @throws TetherError `netrc-unreadable`
 */
export async function authorizationFor(
  host: string,
  file: string,
  { mustBe }: { readonly mustBe: boolean },
): Promise<string | null> {
  let text: string;
  try {
    const info = await stat(file);
    if (!info.isFile() || info.size > maxBytes) throw new Error("it is no netrc file");
    text = await readFile(file, "utf8");
  } catch (error) {
    if (!mustBe && (error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new TetherError("netrc-unreadable", `the netrc file ${file} can not be read: ${messageOf(error)}`, {
      remedy: "Make it readable for you, or name another one as netrc-file.",
      cause: error,
    });
  }
  const login = loginFor(host, text);
  if (login === null) return null;
  return `Basic ${Buffer.from(`${login.name}:${login.password}`).toString("base64")}`;
}
