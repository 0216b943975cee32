# A stand-in for the lib of nixpkgs, with what the modules of this repository use of it.
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    isAttrs
    isList
    listToAttrs
    mapAttrs
    stringLength
    substring
    ;

  modules = import ./modules.nix;
  types = import ./types.nix { inherit modules; };

  nameValuePair = name: value: { inherit name value; };
  filterAttrs = keep: set: removeAttrs set (filter (name: !(keep name set.${name})) (attrNames set));
in
modules
// {
  inherit
    types
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    filterAttrs
    mapAttrs
    nameValuePair
    ;
  inherit (builtins)
    any
    genList
    head
    ;

  mkDefault = modules.mkOverride 1000;
  mkEnableOption =
    description:
    modules.mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
  literalExpression = text: text;

  filterAttrsRecursive =
    keep: set:
    let
      go = inner: mapAttrs (_: value: if isAttrs value then go value else value) (filterAttrs keep inner);
    in
    go set;
  genAttrs = names: make: listToAttrs (map (name: nameValuePair name (make name)) names);
  mapAttrs' = make: set: listToAttrs (map (name: make name set.${name}) (attrNames set));
  mapAttrsToList = make: set: map (name: make name set.${name}) (attrNames set);
  optional = condition: value: if condition then [ value ] else [ ];
  toList = value: if isList value then value else [ value ];
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];

  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  getExe = package: "${package}/bin/${package.meta.mainProgram or package.name}";
  makeBinPath = packages: concatStringsSep ":" (map (package: "${package}/bin") packages);

  importJSON = file: builtins.fromJSON (builtins.readFile file);
  versionAtLeast = a: b: builtins.compareVersions a b >= 0;
  fileset = {
    unions = files: files;
    toSource = { fileset, ... }: map (file: assert builtins.pathExists file; baseNameOf file) fileset;
  };
  fetchers.proxyImpureEnvVars = [ "http_proxy" ];
  licenses.mit = "mit";
  platforms.linux = "linux";
  trivial.release = "26.05";
}
