import { expect, test, vi } from "vitest";
import { createAuthenticator } from "../../src/link/authenticator.js";
import type { Identities } from "../../src/link/identities.js";

test("while the keys are gathered it is not sshd that is waited for", async () => {
  let gathered: (identities: Identities) => void = () => undefined;
  const identities = new Promise<Identities>((resolve) => (gathered = resolve));
  const busy: boolean[] = [];
  const { handler } = createAuthenticator("me", identities, (is) => busy.push(is));
  const next = vi.fn<() => void>();
  handler(null as never, false, next);
  expect(next).toHaveBeenLastCalledWith("none");
  handler(["publickey"], false, next);
  expect(busy).toEqual([true]);
  gathered({ attempts: [], note: null });
  await identities;
  expect(busy).toEqual([true, false]);
  expect(next).toHaveBeenLastCalledWith(false);
});
