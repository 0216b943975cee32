// Puts the paths of a job where they are to be found, and nowhere else, and notes what they must be.

import type { Lab } from "../lab.js";
import type { Job } from "./jobs.js";

export const expressions = "/opt/nix-tether/test/lab/chaos/closures.nix";
/** The folder of the second cache, in both machines. */
const second = "/srv/shared/second";
export const secondUrl = "http://127.0.0.1:8080";

/** A job whose paths are in place. */
export interface Stocked extends Job {
  /** What Nix must answer. */
  readonly path: string;
  /** Every path of the closure with its NAR's hash, a line each. */
  readonly closure: string;
}

/** A closure with hashes as the store of that machine has it, for `Stocked.closure`. */
export const listClosure = (path: string): string =>
  `paths=$(nix-store -qR ${path} | sort); paste -d ' ' <(echo "$paths") <(nix-store -q --hash $paths)`;

/** Serves the second cache on the laptop, where it is always in reach; it stands for cache.nixos.org. */
export async function openSecondCache(lab: Lab): Promise<void> {
  await lab.exec(
    "laptop",
    `mkdir -p ${second}
printf 'StoreDir: /nix/store\\nWantMassQuery: 1\\nPriority: 40\\n' >${second}/nix-cache-info
systemd-run --quiet --unit=second-cache busybox httpd -f -p 127.0.0.1:8080 -h ${second}
sed -i 's|^substituters =.*|substituters = ${secondUrl}|' /etc/nix/nix.conf
systemctl restart nix-daemon.service`,
  );
}

/** Goes past the Pi's network and nix-daemon: it works whatever is wrong with them. */
export async function stock(lab: Lab, job: Job): Promise<Stocked> {
  const { attribute, onPi, onSecond } = job.kind;
  const paths = (attributes: readonly string[]): string =>
    attributes.map((name) => `$(nix-store -qR $(nix-store -q --binding out $(cat ${name}.drv)))`).join(" ");
  const drvs = new Set([attribute, ...onPi, ...onSecond]);
  const { stdout } = await lab.exec(
    "pi",
    `set -e -o pipefail
export NIX_REMOTE=local
cd $(mktemp -d)
for name in ${[...drvs].join(" ")}; do
  nix-instantiate ${expressions} -A $name --argstr salt ${job.salt} >$name.drv
done
path=$(nix-build --no-out-link ${expressions} -A ${attribute} --argstr salt ${job.salt})
echo $path
${listClosure("$path")}
nix-store -qR $path | sort >all
for path in ${paths(onSecond)}; do echo $path; done | sort >second
for path in ${paths(onPi)}; do echo $path; done | sort >kept
[ ! -s second ] || nix copy --to 'file://${second}?compression=none' $(cat second)
[ -z "$(comm -23 all kept)" ] || nix-store --delete $(comm -23 all kept) >&2
rm -r $PWD`,
  );
  const [path = "", ...closure] = stdout.trimEnd().split("\n");
  return { ...job, path, closure: closure.join("\n") };
}

/**
 * Makes room: the big paths of a job that is over leave the Pi and the second cache. Resolves to whether all of them have
 * left: what the daemon asked the Pi for is held there for a while.
 */
export async function retire(lab: Lab, job: Stocked): Promise<boolean> {
  const paths = job.closure.split("\n").map((line) => line.split(" ", 1)[0] ?? "");
  const narinfos = paths.map(
    (path) => `${second}/${path.slice("/nix/store/".length).split("-", 1)[0]}.narinfo`,
  );
  const { code } = await lab.exec(
    "pi",
    `for narinfo in ${narinfos.join(" ")}; do
  [ -e $narinfo ] || continue
  rm -f ${second}/$(sed -n 's/^URL: //p' $narinfo) $narinfo
done
export NIX_REMOTE=local
left=$(nix-store --check-validity --print-invalid ${paths.join(" ")} | sort | comm -13 - <(printf '%s\n' ${paths.join(" ")} | sort))
[ -z "$left" ] || nix-store --delete $left >/dev/null 2>&1`,
    { mayFail: true },
  );
  return code === 0;
}
