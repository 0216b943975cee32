# Things to build on the Pi and to fetch on the laptop, without nixpkgs. `salt` makes paths that were never seen before;
# both machines get the same store paths for the same salt.
{
  salt,
  megabytes ? "300",
}:
let
  # 99 small paths and one that refers to all of them, for the price of one build; part n refers to part n/2.
  batch =
    number: before:
    derivation {
      name = "many-${salt}-${number}";
      system = builtins.currentSystem;
      outputs = [ "out" ] ++ builtins.genList (n: "part${toString (n + 1)}") 99;
      inherit before;
      builder = "/bin/sh";
      args = [
        "-c"
        ''
          part0=$before
          n=1
          while [ $n -le 99 ]; do
            eval "path=\$part$n; parent=\$part$((n / 2))"
            echo "part $n of $name, after $parent" >$path
            echo $path >>$out
            n=$((n + 1))
          done
        ''
      ];
    };
in
{
  # A closure of 300 paths.
  many = batch "3" (batch "2" (batch "1" ""));

  # One path that does not compress.
  big = derivation {
    name = "big-${salt}";
    system = builtins.currentSystem;
    builder = "/bin/busybox";
    args = [
      "sh"
      "-c"
      # dd takes the place of the builder's stdout, so its stderr must stay open: Nix kills a builder that has closed both.
      "/bin/busybox dd if=/dev/urandom of=$out bs=1M count=${megabytes}"
    ];
  };

  # Ten paths of 8 MB and one that refers to them: a fetch that takes a while, of which each path is soon built.
  parts = derivation {
    name = "parts-${salt}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [
      "-c"
      "echo $parts >$out"
    ];
    parts = builtins.genList (
      n:
      derivation {
        name = "part-${salt}-${toString n}";
        system = builtins.currentSystem;
        builder = "/bin/busybox";
        args = [
          "sh"
          "-c"
          "/bin/busybox dd if=/dev/urandom of=$out bs=1M count=8"
        ];
      }
    ) 10;
  };

  # One small path.
  one = derivation {
    name = "one-${salt}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [
      "-c"
      "echo $name >$out"
    ];
  };
}
