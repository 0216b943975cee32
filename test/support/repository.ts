// Where the repository's files lie, for code that runs from its source as well as compiled to another folder.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The absolute path of a file that is named from the repository's root. */
export function repositoryFile(name: string): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, "package-lock.json"))) {
    if (folder === dirname(folder)) throw new Error(`${import.meta.dirname} is in no repository`);
    folder = dirname(folder);
  }
  return join(folder, name);
}
