// The instances heard of one DNS-SD service (RFC 6763), and which of them are the one looked for.

import type { HeardRecord, ServiceRecord } from "./records.js";
import { isLocal, type ServiceTarget } from "./target.js";

/** A host that serves the target, and the port it serves it on. */
export interface ServingHost {
  readonly name: string;
  readonly port: number;
}

/** See `createServiceBook`. */
export interface ServiceBook {
  /** Takes in a packet's PTR and SRV records; tells whether any was about the instance looked for. */
  apply(records: readonly HeardRecord[]): boolean;
  /** Where the instance runs; more than one host only where several machines claim it. */
  hosts(): ServingHost[];
  /** Instances that were pointed to and may be the one looked for, but whose host is not known. */
  unexplained(): string[];
}

/**
 * On a crowded network others' instances beyond this many are not looked at; the one asked for by name always
 * is.
 */
const MAX_INSTANCES = 32;

/** An empty book for a target. */
export function createServiceBook(target: ServiceTarget): ServiceBook {
  const explained = new Map<string, ServiceRecord>();
  const pointed = new Set<string>();

  const isCandidate = (instance: string): boolean =>
    instance === target.instance || (target.host !== undefined && instance.endsWith(`.${target.service}`));
  const isOurs = (record: ServiceRecord): boolean =>
    record.name === target.instance || record.target === target.host;
  const hasRoomFor = (instance: string): boolean =>
    instance === target.instance || explained.size + pointed.size < 2 * MAX_INSTANCES;

  const withdraw = (instance: string): boolean => {
    const known = explained.get(instance);
    pointed.delete(instance);
    explained.delete(instance);
    return instance === target.instance || (known !== undefined && isOurs(known));
  };

  const applyOne = (record: HeardRecord): boolean => {
    if (record.type === "PTR" && record.name === target.service && isCandidate(record.target)) {
      if (record.ttl === 0) return withdraw(record.target);
      if (hasRoomFor(record.target)) pointed.add(record.target);
      return record.target === target.instance;
    }
    // A target outside .local would have to be asked of the system's resolver on a stranger's word.
    if (record.type === "SRV" && isCandidate(record.name) && isLocal(record.target)) {
      if (record.ttl === 0) return withdraw(record.name);
      if (hasRoomFor(record.name)) explained.set(record.name, record);
      return isOurs(record);
    }
    return false;
  };

  return {
    apply: (records) => records.map(applyOne).includes(true),
    hosts: () =>
      [...explained.values()].filter(isOurs).map((record) => ({ name: record.target, port: record.port })),
    unexplained: () => [...pointed].filter((instance) => !explained.has(instance)),
  };
}
