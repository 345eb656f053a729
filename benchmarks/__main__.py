"""`python -m benchmarks [guard] [--seconds S] [--rounds N] …`, from the repository's root."""

import argparse
import signal
import sys
from subprocess import CalledProcessError

from benchmarks import guard
from benchmarks.guard import WrongAnswer
from benchmarks.servers import NotStarted

BENCHMARKS = {"guard": guard.run}


def main() -> int:
    """The exit status: 1 if a floor was missed and that was asked for, 2 if nothing could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure KoalaPanel. Without a name: every benchmark."
    )
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS), help=guard.SUMMARY)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of load per variant and round (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="of all variants, interleaved (%(default)s)")
    parser.add_argument("--threads", type=int, default=guard.THREADS, help="of the web worker (%(default)s)")
    parser.add_argument("--connections", type=int, default=guard.CONNECTIONS, help="kept alive (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a promised floor is missed")
    asked = parser.parse_args()
    if asked.seconds <= 0 or min(asked.rounds, asked.threads, asked.connections) < 1:
        parser.error("--seconds, --rounds, --threads and --connections must be positive")

    # Like Ctrl-C: leave every `with` block, so that no server and no directory stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = [BENCHMARKS[asked.name]] if asked.name else list(BENCHMARKS.values())
    try:
        met = [
            run(asked.seconds, asked.rounds, threads=asked.threads, connections=asked.connections)
            for run in chosen
        ]
    except (WrongAnswer, NotStarted, CalledProcessError) as error:
        print(f"Nothing was measured: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 1 if asked.check and not all(met) else 0


if __name__ == "__main__":
    sys.exit(main())
