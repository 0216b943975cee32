// Where a cache on a web server is, and whether it answers as one.

import type { Look } from "../check.js";
import { ok, warning } from "../finding.js";
import type { Website } from "../website.js";
import { foundBy } from "./where.js";

export function webNameCheck({ config, base, located }: Website): Look {
  return async (signal) => {
    const result = await located(signal);
    if (result === null) return ok(`${base.hostname}, to be looked up by the machine of ${config.via}`);
    const addresses = [...new Set(result.endpoints.map(({ address }) => address))];
    if (result.how === "address") return ok(`${base.hostname} is an address already`);
    return ok(`${base.hostname} is ${addresses.join(", ")}, ${foundBy[result.how]}`);
  };
}

export function webServerCheck({ config, base, reached, withLogin }: Website): Look {
  return async (signal) => {
    const { address, port } = await reached(signal);
    const at = config.via === undefined ? `at ${address} port ${port}` : `through ${config.via}`;
    const text = `answers ${at} as a binary cache`;
    if (!(await withLogin(signal))) return ok(text);
    if (base.protocol === "https:" || config.via !== undefined)
      return ok(`${text}, with your name and password`);
    return warning(
      `${text}; your name and password go there unencrypted, to whoever answers to ${base.hostname}`,
      "Use https, or via with a machine that has sshd, or say by networks where it is to be used.",
    );
  };
}
