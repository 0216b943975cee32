// Which ways to a machine are open on the network that we are on. Pure.

import type { NamedConnection, NetworkState } from "../sources/netmon.js";

/** A network by what it is known by: a connection of NetworkManager, a Wi-Fi name, or the default gateway's address. */
export interface NetworkRule {
  readonly kind: "connection" | "ssid" | "gateway";
  /** An address is in its canonical form. */
  readonly value: string;
}

/** A way to a machine, as far as it is decided whether to go it. */
export interface Way {
  /** The networks that it is for; null for all. */
  readonly networks: readonly NetworkRule[] | null;
  readonly onlyWhenAsked: boolean;
}

/** The network that we are on. */
export interface Network {
  readonly state: NetworkState;
  /** What NetworkManager is connected to; null while it is being asked; empty where nobody tells. */
  readonly connections: readonly NamedConnection[] | null;
}

/** What the network makes of a cache's ways. */
export interface WaysNow {
  /** In the order of preference. `here`: whether the way is for this network; null where that is not known yet. */
  readonly each: readonly { readonly here: boolean | null; readonly onlyWhenAsked: boolean }[];
  /** Why none is open, where none is. */
  readonly closed: string;
}

/** `cache` is its name, for the text. */
export function waysNow(cache: string, ways: readonly Way[], network: Network): WaysNow {
  const each = ways.map(({ networks, onlyWhenAsked }) => ({
    here: isHere(networks, network),
    onlyWhenAsked,
  }));
  const closed = each.some(({ here }) => here === true)
    ? `on this network it is used only when you ask for it: nix-tether connect ${cache}`
    : `not tried on this network (${networkWords(network)}): only on ${rulesOf(ways)}`;
  return { each, closed };
}

/** The indices of the open ways. Not `settled`: there may be others, which will be known in a moment. */
export interface OpenWays {
  readonly ways: readonly number[];
  readonly settled: boolean;
}

/** `asked`: a person has asked for the cache. */
export function openWays({ each }: WaysNow, asked: boolean): OpenWays {
  const usable = each.map(({ here, onlyWhenAsked }) => (onlyWhenAsked && !asked ? false : here));
  return {
    ways: usable.flatMap((here, index) => (here === true ? [index] : [])),
    settled: !usable.includes(null),
  };
}

/** Whether any way can be judged only by what NetworkManager tells. */
export function needNames(ways: readonly Way[]): boolean {
  return ways.some(({ networks }) => networks?.some(({ kind }) => kind !== "gateway") === true);
}

function isHere(networks: Way["networks"], network: Network): boolean | null {
  if (networks === null) return true;
  const verdicts = networks.map((rule) => fits(rule, network));
  if (verdicts.includes(true)) return true;
  return verdicts.includes(null) ? null : false;
}

function fits({ kind, value }: NetworkRule, { state, connections }: Network): boolean | null {
  if (kind === "gateway") return state.interfaces.some(({ gateways }) => gateways.includes(value));
  if (connections === null) return null;
  const standing = connections.filter((connection) => isStanding(connection, state));
  return standing.some(({ name, ssid }) => (kind === "ssid" ? ssid : name) === value);
}

/** NetworkManager holds on to a connection for some seconds after its cable was pulled. */
function isStanding({ interfaces }: NamedConnection, state: NetworkState): boolean {
  return state.interfaces.some(({ name, carrier }) => carrier && interfaces.includes(name));
}

/** The network in the words of the rules. */
export function networkWords({ state, connections }: Network): string {
  const standing = (connections ?? []).filter((connection) => isStanding(connection, state));
  const words = [
    ...standing.map(({ name }) => name),
    ...standing.flatMap(({ ssid }) => (ssid === null ? [] : [`ssid:${ssid}`])),
    ...state.interfaces.flatMap(({ gateways }) => gateways.map((gateway) => `gateway:${gateway}`)),
  ];
  return words.length === 0 ? "it has no name" : [...new Set(words)].join(", ");
}

function rulesOf(ways: readonly Way[]): string {
  const rules = ways.flatMap(({ networks }) => networks ?? []);
  return [
    ...new Set(rules.map(({ kind, value }) => (kind === "connection" ? value : `${kind}:${value}`))),
  ].join(", ");
}
