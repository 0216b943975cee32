# The types of options, for modules.nix: what each accepts, and how several definitions become one value.
{ modules }:

let
  inherit (builtins)
    all
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    head
    isAttrs
    isBool
    isInt
    isList
    isPath
    isString
    length
    mapAttrs
    match
    toJSON
    ;
  inherit (modules)
    byName
    discharge
    evalModules
    showPath
    strongest
    ;

  last = list: builtins.elemAt list (length list - 1);
  complain = path: value: throw "A definition for option `${showPath path}' is not of its type: ${toJSON value}";

  # Of a single value; several definitions must agree.
  simple = check: {
    inherit check;
    merge =
      path: values:
      if !(all check values) then
        complain path values
      else if all (value: value == head values) values then
        head values
      else
        throw "The option `${showPath path}' has conflicting definitions: ${toJSON values}";
  };

  checked = type: type // {
    merge = path: values: if all type.check values then type.merge path values else complain path values;
  };

  present = definitions: concatMap discharge definitions != [ ];
  filterAttrs =
    keep: set:
    removeAttrs set (filter (name: !(keep set.${name})) (builtins.attrNames set));
  removeAttrs = builtins.removeAttrs;
in
rec {
  bool = simple isBool;
  int = simple isInt;
  str = simple isString;
  path = simple (value: isPath value || isString value && match "/.*" value != null);
  package = simple (value: isString value || isAttrs value);
  between = low: high: simple (value: isInt value && low <= value && value <= high);
  port = between 0 65535;
  ints = {
    unsigned = between 0 9223372036854775807;
    positive = between 1 9223372036854775807;
  };
  enum = values: simple (value: elem value values);
  strMatching = pattern: simple (value: isString value && match pattern value != null);
  lines = checked {
    check = isString;
    merge = _: concatStringsSep "\n";
  };
  raw = simple (_: true);

  nullOr = type: checked {
    check = value: value == null || type.check value;
    merge = path: values: if all (value: value == null) values then null else type.merge path values;
  };

  either = a: b: checked {
    check = value: a.check value || b.check value;
    merge = path: values: (if all a.check values then a else b).merge path values;
  };

  listOf = type: checked {
    check = isList;
    merge = path: values: map (value: type.merge path [ value ]) (concatLists values);
  };

  attrsOf = type: checked {
    check = isAttrs;
    merge =
      path: values:
      mapAttrs (name: definitions: type.merge (path ++ [ name ]) (strongest definitions)) (
        filterAttrs present (byName (concatMap modules.push values))
      );
  };

  submodule = module: checked {
    check = value: isAttrs value || builtins.isFunction value;
    merge =
      path: values:
      evalModules {
        modules = [ module ] ++ values;
        specialArgs.name = last path;
        inherit path;
      };
  };

  # Sets are merged with each other, and so are lists.
  anything = {
    check = _: true;
    merge =
      path: values:
      if all isAttrs values && !(builtins.any (value: value ? outPath) values) then
        (attrsOf anything).merge path values
      else if all isList values then
        concatLists values
      else
        raw.merge path values;
  };
}
