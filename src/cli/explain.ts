// `nix-tether explain`: why a path was or was not fetched from the machines at home.

import { resolveDirs } from "../config/dirs.js";
import { askDaemon } from "../control/client.js";
import { explainPath, type Explanation, type Target } from "../explain/explain.js";
import { TetherError } from "../util/errors.js";
import { appearance, type CliContext } from "./context.js";
import { exitCode } from "./exit.js";
import { explainText } from "./explain-text.js";
import { presentWords, verdictWords } from "./explain-words.js";
import { storePathsOf } from "./store-paths.js";

/** The machines are asked, one that is busy for some seconds. */
const timeoutMs = 15_000;

/** Resolves to the exit code. */
export async function explain(
  context: CliContext,
  args: { readonly path: string; readonly json: boolean },
): Promise<number> {
  const target = await targetOf(args.path);
  const { controlSocket } = resolveDirs(context.env);
  const { hashPart } = target;
  const reply = await askDaemon(controlSocket, { command: "explain", hashPart }, { timeoutMs });
  if (!reply.ok) throw new TetherError(reply.code, reply.message, { remedy: reply.remedy });
  const { status: report, memory = {} } = reply;
  const explanation = await explainPath(target, { report, memory }, context.env);
  const now = context.now();
  const { width } = appearance(context);
  context.stdout.write(
    args.json
      ? `${JSON.stringify(explanationJson(explanation, now), null, 2)}\n`
      : explainText(explanation, { now, width }),
  );
  return exitCode.ok;
}

/** @throws TetherError `usage` for what names nothing in a store */
async function targetOf(word: string): Promise<Target> {
  const [, path, base = word] = /^(\/nix\/store\/([^/]+))/.exec(word) ?? [];
  const [, hashPart] = /^([0-9abcdfghijklmnpqrsvwxyz]{32})(?:-|$)/.exec(base) ?? [];
  if (hashPart !== undefined) {
    const whole = path ?? (base.length > hashPart.length ? `/nix/store/${base}` : null);
    return { hashPart, path: whole };
  }
  const [real = ""] = await storePathsOf([word]);
  return { hashPart: real.slice("/nix/store/".length).slice(0, 32), path: real };
}

/** Version 1; keys may be added, never renamed. */
function explanationJson({ hashPart, path, local, nix, caches }: Explanation, now: number): unknown {
  return {
    version: 1,
    hashPart,
    path,
    local,
    others: nix?.others ?? null,
    caches: Object.fromEntries(
      caches.map((cache) => {
        const { memory, status, name } = cache.facts;
        const { text, remedy } = verdictWords(cache, path, now);
        return [
          name,
          {
            verdict: cache.verdict.kind,
            text,
            remedy,
            state: status.state,
            listed: status.listed,
            priority: memory.priority,
            now: memory.now.kind,
            nowText: presentWords(cache),
            trust: cache.trust,
            since: memory.since,
            requests: memory.requests,
          },
        ];
      }),
    ),
  };
}
