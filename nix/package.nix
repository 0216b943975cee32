# nix-tether as a package: the sources with their types taken off by esbuild, beside the packages that it needs to run.
{
  lib,
  stdenvNoCC,
  callPackage,
  esbuild,
  installShellFiles,
  makeBinaryWrapper,
  nodejs,
}:

let
  package = lib.importJSON ../package.json;
  nodeModules = callPackage ./node-modules.nix { };
in
assert lib.versionAtLeast nodejs.version "20.19";

stdenvNoCC.mkDerivation {
  pname = package.name;
  inherit (package) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../hooks
      ../man
      ../package.json
      ../page
      ../root
      ../src
      ../systemd
    ];
  };

  nativeBuildInputs = [
    esbuild
    installShellFiles
    makeBinaryWrapper
    nodejs
  ];

  # esbuild looks at one file at a time, as the sources allow (`erasableSyntaxOnly`); CI checks the types.
  buildPhase = ''
    runHook preBuild
    find src -name '*.ts' -exec esbuild --platform=node --format=esm --target=es2023 --outbase=src --outdir=dist {} +
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    folder=$out/lib/nix-tether
    mkdir -p "$folder"
    cp -r dist hooks page package.json root systemd "$folder"
    ln -s ${nodeModules}/node_modules "$folder/node_modules"
    makeBinaryWrapper ${lib.getExe nodejs} $out/bin/nix-tether --add-flags "$folder/dist/main.js"
    installManPage man/*.1
    runHook postInstall
  '';

  postInstall = ''
    for shell in bash fish zsh; do
      $out/bin/nix-tether completion $shell >nix-tether.$shell
    done
    installShellCompletion nix-tether.{bash,fish,zsh}
  '';

  passthru = { inherit nodeModules; };

  meta = {
    inherit (package) description;
    license = lib.licenses.mit;
    mainProgram = "nix-tether";
    platforms = lib.platforms.linux;
  };
}
