// The environment of programs that a farm starts: they ask nobody, and the caller's own repository does not count.

/** A variable such as GIT_DIR would lead git, also the one that Nix starts, elsewhere; those that say how to connect stay. */
export function unattended(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !name.startsWith("GIT_") || /^GIT_(SSH|SSL|CONFIG_(GLOBAL|SYSTEM)|PROXY|TRACE)/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "true",
    SSH_ASKPASS_REQUIRE: "never",
  };
}
