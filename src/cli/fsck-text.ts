// What a check of a static cache has found, for a person and for a program. Pure.

import type { Checked } from "../static/fsck.js";
import { nameOf } from "../static/inventory.js";
import { isBroken, type Problem } from "../static/problems.js";
import { printable } from "../util/printable.js";
import { bytes, counted } from "./words.js";

/** Of each kind, on a person's screen. */
const mostShown = 20;

export function fsckText(checked: Checked, label: string): string[] {
  const { inventory, problems, unowned, closed, repair } = checked;
  const size = [...inventory.nars.values()].reduce((sum, file) => sum + file.size, 0);
  const found = problems.length === 0 ? "nothing is wrong" : counted(problems.length, "problem");
  return [
    ...[...new Set(problems.map(({ kind }) => kind))].flatMap((kind) => kindText(checked, kind)),
    ...[...closed].map(
      ([compression, count]) =>
        `${counted(count, "NAR")} compared by the file's hash only: there is nothing here that can read ${printable(compression)}`,
    ),
    ...(unowned.length === 0 ? [] : [`${counted(unowned.length, "file")} of no path, which do no harm`]),
    `${label}: ${counted(inventory.paths.size, "path")}, ${bytes(size)} of NARs, ${found}`,
    ...(repair === null ? [] : [repairText(checked)]),
  ];
}

/** Version 1: keys are added, never renamed. */
export function fsckJson(checked: Checked): object {
  const { inventory, problems, unowned, closed, repair } = checked;
  return {
    version: 1,
    paths: inventory.paths.size,
    problems: problems.map(({ kind, hashPart, file, text }) => ({
      kind,
      path: pathName(checked, hashPart),
      file,
      text,
    })),
    unowned: unowned.map(({ name, size }) => ({ file: name, bytes: size })),
    notDecompressed: Object.fromEntries(closed),
    repair:
      repair === null
        ? null
        : { ...repair.removed, paths: [...repair.gone].map((hashPart) => pathName(checked, hashPart)) },
  };
}

/** Whether there is anything left that somebody should look at. */
export function isLeft({ repair }: Checked, problem: Problem): boolean {
  return repair === null || !(isBroken(problem) || repair.gone.has(problem.hashPart));
}

function kindText(checked: Checked, kind: Problem["kind"]): string[] {
  const all = checked.problems.filter((problem) => problem.kind === kind);
  const lines = all.slice(0, mostShown).map((problem) => problemText(checked, problem));
  const more = all.length - lines.length;
  return more === 0 ? lines : [...lines, `… and ${more} more like these; --json has them all`];
}

function problemText(checked: Checked, { hashPart, file, text }: Problem): string {
  const own = file === `${hashPart}.narinfo`;
  return `${pathName(checked, hashPart)}: ${printable(text)}${own ? "" : ` (${printable(file)})`}`;
}

function repairText({ repair, problems }: Checked): string {
  if (repair === null) return "";
  const broken = new Set(problems.filter(isBroken).map(({ hashPart }) => hashPart)).size;
  const needing = repair.gone.size - broken;
  return (
    `removed ${counted(broken, "broken path")}, ${needing} that need them, and ` +
    `${counted(repair.rubbish.length, "file")} of no path (${bytes(repair.removed.bytes)})`
  );
}

function pathName({ inventory }: Checked, hashPart: string): string {
  const path = inventory.paths.get(hashPart);
  return path === undefined ? hashPart : nameOf(path);
}
