// What has been heard about one target: records are folded in; out come its endpoints and what is still to be
// asked. Knows no sockets and no clock.

import { isIPv4 } from "node:net";

import type { Endpoint } from "../../link/link.js";
import { createAddressBook, isDialable, withScope } from "./address-book.js";
import type { HeardRecord } from "./records.js";
import { createServiceBook } from "./service-book.js";
import { isAskable, type MulticastTarget } from "./target.js";

/** A question for the network. */
export interface Question {
  readonly name: string;
  readonly type: "A" | "AAAA" | "PTR" | "SRV";
}

/** What folding in the records of a packet has meant. */
export interface Change {
  /** Whether any of the records was about the target. */
  readonly concerned: boolean;
  /** The endpoints that a goodbye has taken away, known before or not. */
  readonly gone: readonly Endpoint[];
}

/** The picture of one target. */
export interface Picture {
  /**
   * Folds in the records of one packet, heard on the interface `link` at `now` (milliseconds, any origin).
   */
  apply(link: string, records: readonly HeardRecord[], now: number): Change;
  /** Where the target answers, in the order heard, each once, at most `MAX_ENDPOINTS`. */
  endpoints(): Endpoint[];
  /** The questions to begin with; each list is for a packet of its own. */
  questions(): Question[][];
  /** What the answers so far leave open: the host of an instance, the (IPv4) addresses of a host. */
  missing(): Question[];
  /** Forgets what was heard on an interface. */
  forget(link: string): void;
}

/** The link dials all endpoints at once, so their number is bounded. */
export const MAX_ENDPOINTS = 16;

/** An empty picture of a target. */
export function createPicture(target: MulticastTarget): Picture {
  const addresses = createAddressBook();
  const services = target.kind === "service" ? createServiceBook(target) : undefined;

  const hosts = (): readonly Host[] =>
    target.kind === "mdns" ? [{ name: target.name }] : (services?.hosts() ?? []);

  const endpointsOf = (host: Host): Endpoint[] =>
    addresses.of(host.name).map(({ address }) => endpointAt(address, host.port));

  const endpoints = (): Endpoint[] => unique(hosts().flatMap(endpointsOf)).slice(0, MAX_ENDPOINTS);

  return {
    apply: (link, records, now) => {
      const before = endpoints();
      const hostsBefore = hosts();
      let concerned = services?.apply(records) ?? false;
      const relevant = new Map([...hostsBefore, ...hosts()].map((host) => [host.name, host]));
      const withdrawn: Endpoint[] = [];
      for (const record of records) {
        if (record.type !== "A" && record.type !== "AAAA") continue;
        const host = relevant.get(record.name);
        if (host === undefined || !isDialable(record.address)) continue;
        concerned = true;
        addresses.apply(link, record, now);
        if (record.ttl === 0) withdrawn.push(endpointAt(withScope(record.address, link), host.port));
      }
      if (!records.some((record) => record.ttl === 0)) return { concerned, gone: [] };
      const remaining = new Set(endpoints().map(endpointKey));
      const gone = unique([...before, ...withdrawn]).filter((known) => !remaining.has(endpointKey(known)));
      return { concerned, gone };
    },
    endpoints,
    questions: () =>
      (target.kind === "mdns"
        ? [addressQuestions(target.name)]
        : [[ask(target.instance, "SRV")], [ask(target.service, "PTR")]]
      )
        .map((questions) => questions.filter(({ name }) => isAskable(name)))
        .filter((questions) => questions.length > 0),
    missing: () => {
      if (services === undefined) return [];
      const known = (host: Host): boolean => addresses.of(host.name).some(({ type }) => type === "A");
      const names = new Set(services.hosts().flatMap((host) => (known(host) ? [] : [host.name])));
      return [
        ...services.unexplained().map((instance) => ask(instance, "SRV")),
        ...[...names].flatMap(addressQuestions),
      ].filter(({ name }) => isAskable(name));
    },
    forget: (link) => addresses.forget(link),
  };
}

interface Host {
  readonly name: string;
  readonly port?: number;
}

/** One string for each endpoint, to compare them. */
export function endpointKey(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port ?? ""}`;
}

/** The endpoints without repetitions, in their order. */
export function unique(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [endpointKey(endpoint), endpoint])).values()];
}

function endpointAt(address: string, port: number | undefined): Endpoint {
  return { address, family: isIPv4(address) ? 4 : 6, ...(port === undefined ? {} : { port }) };
}

const ask = (name: string, type: Question["type"]): Question => ({ name, type });

const addressQuestions = (name: string): Question[] => [ask(name, "A"), ask(name, "AAAA")];
