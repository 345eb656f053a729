"""`python -m benchmarks [NAME …] [options]`, from the repository's root."""

import argparse
import signal
import sys
from subprocess import CalledProcessError

from benchmarks import NothingMeasured, flush, guard, images, keys, ladder, pages, queue, replay

# Each is a module with a SUMMARY that begins with its name, `add_arguments(group)` for options of its own,
# and `run(asked)`, which prints what it measured and tells whether every promised floor was met.
BENCHMARKS = {
    "guard": guard,
    "flush": flush,
    "ladder": ladder,
    "keys": keys,
    "images": images,
    "queue": queue,
    "replay": replay,
    "pages": pages,
}


def main() -> int:
    """The exit status: 1 if a floor was missed and that was asked for, 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure KoalaPanel. Without a name: every benchmark."
    )
    parser.add_argument("names", nargs="*", metavar="name", help=f"one or more of {', '.join(BENCHMARKS)}")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a promised floor is missed")
    for benchmark in BENCHMARKS.values():
        benchmark.add_arguments(parser.add_argument_group(benchmark.SUMMARY))
    asked = parser.parse_args()
    if unknown := set(asked.names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")

    # Like Ctrl-C: leave every `with` block, so that no server and no directory stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        met = [BENCHMARKS[name].run(asked) for name in asked.names or BENCHMARKS]
    except (NothingMeasured, CalledProcessError) as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 1 if asked.check and not all(met) else 0


if __name__ == "__main__":
    sys.exit(main())
