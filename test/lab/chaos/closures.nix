# What the chaos test builds and fetches. The same salt gives the same bytes wherever it is built, so that the expected
# hashes hold for a path that was fetched as for one that was built.
{ salt }:
let
  inherit (import ../closure.nix { inherit salt; }) many one;

  # Every byte depends on its place: one that is delivered twice or left out shows.
  counted =
    name: last:
    derivation {
      name = "${name}-${salt}";
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [
        "-c"
        ''
          { echo $name; /usr/bin/seq 1000000000 1 ${last}; } >$out
        ''
      ];
    };

  # 11 bytes a line: 200 MB, 60 MB and 20 MB.
  big = counted "big" "1019000000";
  middle = counted "middle" "1005500000";
  little = counted "little" "1001900000";
in
{
  inherit many one big middle little;

  # Refers to paths that come from different places, and exists nowhere.
  mixed = derivation {
    name = "mixed-${salt}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    inherit many middle little;
    args = [
      "-c"
      "echo $many $middle $little >$out"
    ];
  };
}
