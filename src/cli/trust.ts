// `nix-tether trust CACHE`: shows the machine's host key, and makes it known when the user says that it is the right one.

import { resolveDirs } from "../config/dirs.js";
import { askDaemon } from "../control/client.js";
import {
  acceptHostKey,
  findExpectedOffer,
  findHostKeyOffers,
  type HostKeyOffer,
  type HostKeyOffers,
} from "../doctor/host-key-offers.js";
import { pictureOf } from "../doctor/key-picture.js";
import type { Machine } from "../doctor/machine.js";
import { withMachines } from "../doctor/with-machines.js";
import { TetherError } from "../util/errors.js";
import { printable } from "../util/printable.js";
import { loadCache } from "./load-cache.js";
import type { CliContext } from "./context.js";
import { exitCode } from "./exit.js";

export interface TrustArguments {
  readonly cache: string;
  /** What the key must have, as `ssh-keygen -l` prints it: then nobody is asked. */
  readonly fingerprint?: string | undefined;
  readonly config?: string | undefined;
}

/** The daemon answers after it has begun to try. */
const daemonMs = 5_000;

/** An answer that is neither yes nor no is asked for again. */
const mostQuestions = 3;

/** Resolves to the exit code: a failure where the key was not confirmed. */
export async function trust(context: CliContext, args: TrustArguments): Promise<number> {
  const expected = args.fingerprint === undefined ? null : wantedFingerprint(args.fingerprint);
  const config = await loadCache(context, args);
  if (config.type !== "ssh") {
    throw new TetherError("usage", `${args.cache} is of type "${config.type}", and has no host key`);
  }
  return withMachines({ name: args.cache, config, env: context.env }, async (machines, signal) => {
    const { machine, known, offers } = await firstToConfirm(machines, signal);
    const name = printable(machine.config.host);
    if (known !== null) {
      context.stdout.write(`The host key of ${name} is known already: ${known}\n`);
      return exitCode.ok;
    }
    const offer =
      expected === null
        ? await confirmed(context, args.cache, offers)
        : await expectedOne(context, machine, offers, expected, signal);
    if (offer === null) {
      context.stdout.write("Nothing was changed.\n");
      return exitCode.failure;
    }
    const file = await acceptHostKey(machine, offer, signal);
    context.stdout.write(
      `${printable(offer.name)} is known from now on by ${offer.described}, in ${file}.\n`,
    );
    await wakeDaemon(context, args.cache);
    return exitCode.ok;
  });
}

/**
 * What there is to confirm by the first of these ways by which there is anything; otherwise what is known. Rejects as
 * `findHostKeyOffers`, where the machine is there by none of them.
 */
async function firstToConfirm(
  machines: readonly Machine[],
  signal: AbortSignal,
): Promise<HostKeyOffers & { readonly machine: Machine }> {
  let known: (HostKeyOffers & { readonly machine: Machine }) | null = null;
  let absence: unknown = null;
  for (const machine of machines) {
    try {
      const found = await findHostKeyOffers(machine, signal);
      if (found.known === null) return { ...found, machine };
      known ??= { ...found, machine };
    } catch (error) {
      if (!(error instanceof TetherError) || !/^(absent|unreachable)$/.test(error.code)) throw error;
      absence ??= error;
    }
  }
  if (known === null) throw absence;
  return known;
}

/** @throws TetherError `usage` */
function wantedFingerprint(text: string): string {
  const [, digest] = /^SHA256:([A-Za-z0-9+/]{43})=?$/.exec(text.trim()) ?? [];
  if (digest !== undefined) return `SHA256:${digest}`;
  throw new TetherError("usage", `${text} is no fingerprint as ssh-keygen -l prints it (SHA256:…)`);
}

async function expectedOne(
  { env }: CliContext,
  machine: Machine,
  offers: readonly HostKeyOffer[],
  expected: string,
  signal: AbortSignal,
): Promise<HostKeyOffer> {
  const offer = await findExpectedOffer(machine, offers, expected, { env, signal });
  if (offer !== null) return offer;
  throw new TetherError(
    "fingerprint-differs",
    `${machine.config.host} has no key with the fingerprint ${expected}; it shows ${offers.map(inWords).join(", ")}`,
    { remedy: "If the fingerprint is right, this is not your machine." },
  );
}

/** The offer that the person at the terminal says yes to, or null. */
async function confirmed(
  context: CliContext,
  cache: string,
  offers: readonly HostKeyOffer[],
): Promise<HostKeyOffer | null> {
  const { ask } = context;
  if (ask === undefined) {
    throw new TetherError("no-terminal", "a host key can only be confirmed at a terminal", {
      remedy: `Or give the fingerprint that it must have: nix-tether trust ${cache} --fingerprint SHA256:…`,
    });
  }
  for (const offer of offers) {
    context.stdout.write(`The host key of ${printable(offer.name)} at ${offer.addresses.join(", ")}:\n\n`);
    context.stdout.write(`${await pictureOf(offer, context.env)}\n\n`);
  }
  context.stdout.write(
    "On that machine, `ssh-keygen -lvf /etc/ssh/ssh_host_ed25519_key.pub` (or the key of the type shown) must say the " +
      "same.\n",
  );
  const several = offers.length > 1;
  if (several) {
    context.stdout.write("More than one machine answers to this name, so only a fingerprint will do.\n");
  }
  const question = several ? "The fingerprint of yours (or no): " : "Is it yours (yes/no/the fingerprint)? ";
  for (let asked = 0; asked < mostQuestions; asked += 1) {
    const answer = (await ask(question))?.trim();
    if (answer === undefined || /^no?$/i.test(answer)) return null;
    if (/^yes$/i.test(answer) && !several) return offers[0] ?? null;
    const meant = offers.find(({ fingerprint }) => fingerprint === answer.replace(/=$/, ""));
    if (meant !== undefined) return meant;
    if (answer.startsWith("SHA256:")) context.stdout.write("That is not the fingerprint shown.\n");
  }
  return null;
}

function inWords({ described, addresses }: HostKeyOffer): string {
  return `${described} at ${addresses.join(", ")}`;
}

/** It tries again by itself, but later. Whoever has paused the cache wants it to stay so. */
async function wakeDaemon({ env, stdout }: CliContext, cache: string): Promise<void> {
  try {
    const { controlSocket } = resolveDirs(env);
    const status = await askDaemon(controlSocket, { command: "status" }, { timeoutMs: daemonMs });
    const state = status.ok ? status.status.caches[cache]?.state : undefined;
    if (state === undefined || state === "paused" || state === "online") return;
    await askDaemon(controlSocket, { command: "resume", cache }, { timeoutMs: daemonMs });
    stdout.write(`The daemon tries ${cache} now.\n`);
  } catch {
    // None runs, or it does not answer: what was asked for is done.
  }
}
