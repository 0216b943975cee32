# A stand-in for the module system of nixpkgs, with what the modules of this repository use of it: options, conditions,
# priorities, order and imports. Where the real one is at hand, cases.nix can be given that.
let
  inherit (builtins)
    attrNames
    catAttrs
    concatMap
    concatStringsSep
    filter
    foldl'
    head
    isAttrs
    isFunction
    isPath
    length
    mapAttrs
    sort
    tail
    ;

  kind = value: if isAttrs value then value._type or "" else "";
  property = _type: fields: fields // { inherit _type; };
in
rec {
  mkIf = condition: content: property "if" { inherit condition content; };
  mkMerge = contents: property "merge" { inherit contents; };
  mkOverride = priority: content: property "override" { inherit priority content; };
  mkOrder = order: content: property "order" { inherit order content; };
  mkOption = property "option";

  # A definition with its properties, as a list of plain values with priority and order.
  discharge =
    value:
    {
      "if" = if value.condition then discharge value.content else [ ];
      merge = concatMap discharge value.contents;
      override = map (one: one // { inherit (value) priority; }) (discharge value.content);
      order = map (one: one // { inherit (value) order; }) (discharge value.content);
    }
    .${kind value} or [
      {
        inherit value;
        priority = 100;
        order = 1000;
      }
    ];

  # The plain values that count: those of the strongest priority, in their order.
  strongest =
    definitions:
    let
      all = concatMap discharge definitions;
      least = foldl' (least: one: if one.priority < least then one.priority else least) 9999 all;
    in
    catAttrs "value" (
      sort (a: b: a.order < b.order) (filter (one: one.priority == least) all)
    );

  # A set with properties, as a list of sets whose attributes have them: no condition is looked at.
  push =
    value:
    {
      "if" = map (mapAttrs (_: mkIf value.condition)) (push value.content);
      merge = concatMap push value.contents;
      override = map (mapAttrs (_: mkOverride value.priority)) (push value.content);
      order = map (mapAttrs (_: mkOrder value.order)) (push value.content);
    }
    .${kind value} or [ value ];

  byName = sets: mapAttrs (name: _: catAttrs name sets) (foldl' (all: set: all // set) { } sets);

  showPath = concatStringsSep ".";

  evalOption =
    path: option: definitions:
    let
      values = strongest (definitions ++ (if option ? default then [ (mkOverride 1500 option.default) ] else [ ]));
      merged =
        if values == [ ] then
          throw "The option `${showPath path}' is used but not defined."
        else
          option.type.merge path values;
    in
    (option.apply or (value: value)) merged;

  # `other` merges what is not declared; null, where that is an error.
  evalTree =
    path: declared: other: definitions:
    let
      defined = byName (concatMap push definitions);
      evalOne =
        name: _:
        let
          here = path ++ [ name ];
          declaration = declared.${name} or null;
          values = defined.${name} or [ ];
        in
        if declaration == null then
          other here values
        else if kind declaration == "option" then
          evalOption here declaration values
        else
          evalTree here declaration other values;
      unknown = attrNames (builtins.removeAttrs defined (attrNames declared));
    in
    if other == null && unknown != [ ] then
      throw "The option `${showPath (path ++ unknown)}' does not exist."
    else
      mapAttrs evalOne (defined // declared);

  evalModules =
    {
      modules,
      specialArgs ? { },
      path ? [ ],
    }:
    let
      args = specialArgs // {
        inherit config definitions;
      };
      load =
        module:
        let
          opened = if isPath module then import module else module;
          called = if isFunction opened then opened args else opened;
          shaped =
            if called ? options || called ? config then
              called
            else
              { config = builtins.removeAttrs called [ "imports" ]; };
        in
        [ shaped ] ++ concatMap load (called.imports or [ ]);
      loaded = concatMap load modules;
      declared = mergeDeclarations (catAttrs "options" loaded);
      freeform = catAttrs "freeformType" loaded;
      other =
        if freeform == [ ] then null else here: values: (head freeform).merge here (strongest values);
      configs = catAttrs "config" loaded;
      definitions = at: foldl' (sets: name: catAttrs name (concatMap push sets)) configs at;
      config = evalTree path declared other configs;
    in
    config;

  mergeDeclarations =
    trees:
    mapAttrs (
      _: values: if length values == 1 || kind (head values) == "option" then head values else mergeDeclarations values
    ) (byName trees);

  setAt =
    path: value:
    if path == [ ] then value else { ${head path} = setAt (tail path) value; };
  getAt = path: set: foldl' (inner: name: inner.${name}) set path;

  mkAliasOptionModule =
    from: to:
    { config, definitions, ... }:
    {
      options = setAt from (mkOption {
        type.merge = _: _: null;
        default = null;
        apply = _: getAt to config;
      });
      config = setAt to (mkMerge (definitions from));
    };
}
