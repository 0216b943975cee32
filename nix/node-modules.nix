# The packages that the program needs to run, of the versions and with the hashes in package-lock.json. The lock says of none
# where it comes from, so npm itself fetches them, from wherever it is set up to. None of their scripts is run, and there is
# no native code among them: the same for every machine.
{
  lib,
  stdenvNoCC,
  cacert,
  nodejs,
}:

stdenvNoCC.mkDerivation {
  name = "nix-tether-node-modules";

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../package.json
      ../package-lock.json
    ];
  };

  nativeBuildInputs = [
    cacert
    nodejs
  ];

  impureEnvVars = lib.fetchers.proxyImpureEnvVars ++ [ "npm_config_registry" ];

  # npm's own notes say where it has found what, and some versions leave empty folders.
  buildPhase = ''
    export HOME=$TMPDIR NODE_EXTRA_CA_CERTS=$SSL_CERT_FILE
    npm ci --omit=dev --omit=optional --omit=peer --ignore-scripts --no-audit --no-fund --no-update-notifier
    rm node_modules/.package-lock.json
    find node_modules -type d -empty -delete
  '';
  installPhase = ''
    mkdir $out
    mv node_modules $out
  '';
  dontFixup = true;

  # With another package-lock.json: `npx vitest run --project integration test/integration/nix-package.test.ts` tells it.
  outputHash = "sha256-jWUER30zzLxPfNJrfkbyDEvwjwYuk6m75NejntW2rW4=";
  outputHashAlgo = "sha256";
  outputHashMode = "recursive";
}
