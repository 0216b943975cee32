// Gives memory back to the system once nothing goes on: what a burst of requests has made V8 take, it keeps by itself.

import type { Session } from "node:inspector";
import type { StatusReport } from "../control/messages.js";

/** A figure that grows with whatever fills the memory, and with nothing that goes on for ever. */
export function workDone({ caches, uploads }: StatusReport): number {
  const work = [
    ...Object.values(caches).map(({ lookups, narBytes, losses }) => lookups + narBytes + losses),
    ...Object.values(uploads.targets).map(({ uploaded, bytes }) => uploaded + bytes),
  ];
  return work.reduce((sum, one) => sum + one, 0);
}

/** What is to be called now and then: it has `collect` called once after each time that `work` has grown and then stood still. */
export function createIdleMemory(deps: {
  readonly work: () => number;
  readonly collect: () => Promise<unknown>;
}): () => void {
  let seen: number | null = null;
  // The start itself is work.
  let collected: number | null = null;
  return () => {
    const work = deps.work();
    if (work === seen && work !== collected) {
      collected = work;
      void deps.collect();
    }
    seen = work;
  };
}

/**
 * Has V8 collect all garbage and return the pages; nothing else happens meanwhile, for some ten milliseconds. Never
 * rejects: a Node without an inspector keeps its memory. It goes by the inspector since V8 takes no other call for
 * collecting as if memory were low; a session that ends in the answer's turn would wait for itself, so it stays.
 */
export function createCollector(): () => Promise<void> {
  let session: Session | null = null;
  return async () => {
    try {
      if (session === null) {
        const inspector = await import("node:inspector");
        session = new inspector.Session();
        session.connect();
      }
    } catch {
      return;
    }
    const posted = session;
    await new Promise<void>((resolve) => posted.post("HeapProfiler.collectGarbage", () => resolve()));
  };
}
