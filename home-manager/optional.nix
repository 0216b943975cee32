# An option that may be left out: a null does not get into the file, and the program's own default holds.
lib: type: description:

lib.mkOption {
  type = lib.types.nullOr type;
  default = null;
  inherit description;
}
