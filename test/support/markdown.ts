// The documentation as a reader follows it: its pages, their headings, links and code.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const repository = path.resolve(import.meta.dirname, "../..");

export interface CodeBlock {
  /** The heading that it stands under. */
  readonly section: string;
  readonly language: string;
  readonly text: string;
}

export interface Page {
  /** From the repository's root. */
  readonly name: string;
  /** The targets of links and pictures, as written. */
  readonly links: readonly string[];
  /** As GitHub makes them of the headings. */
  readonly anchors: ReadonlySet<string>;
  readonly blocks: readonly CodeBlock[];
  /** What stands in backquotes in the text. */
  readonly spans: readonly string[];
}

/** Those of the root, and all in docs/. */
export function readPages(): Page[] {
  const names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
  const docs = readdirSync(path.join(repository, "docs")).filter((name) => name.endsWith(".md"));
  return [...names, ...docs.map((name) => `docs/${name}`)].map(readPage);
}

/** What a link on `page` leads to: a file from the repository's root, and the place in it; null outside. */
export function resolveLink(page: Page, link: string): { file: string; anchor: string | null } | null {
  if (/^[a-z]+:/.test(link)) return null;
  const [target = "", anchor = null] = link.split("#");
  const file = target === "" ? page.name : path.join(path.dirname(page.name), target);
  return { file, anchor };
}

export function isThere(file: string): boolean {
  return existsSync(path.join(repository, file));
}

function readPage(name: string): Page {
  const text = readFileSync(path.join(repository, name), "utf8");
  const blocks: CodeBlock[] = [];
  const prose = text.replace(
    /^( *)```([a-z]*)\n([^]*?)^ *```$/gm,
    (_all, indent: string, language: string, code: string, at: number) => {
      const [, section = ""] = [...text.slice(0, at).matchAll(/^#+ (.*)$/gm)].at(-1) ?? [];
      blocks.push({ section, language, text: code.replaceAll(new RegExp(`^${indent}`, "gm"), "") });
      return "";
    },
  );
  return {
    name,
    links: [...prose.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)].map(
      ([, link, named = ""]) => link ?? named,
    ),
    anchors: new Set([...prose.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => anchorOf(title))),
    blocks,
    spans: [...prose.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span),
  };
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
