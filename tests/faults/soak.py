"""`python -m tests.faults.soak`: something breaks every few seconds, and every job ends as it should; see `--help`."""

import argparse
import sys

from tests.faults.installation import fresh_installation

JOBS_PER_SECOND = 1.75


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Jobs of all kinds on two hosts, and a random fault every 2 to 6 s.")
    parser.add_argument("--seed", type=int, help="repeats the choices of a run, which prints its own")
    parser.add_argument("--seconds", type=float, default=300, help="how long jobs come and things break")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    with fresh_installation(given.seed) as (server, chances):
        # These need settings.
        from tests.faults.errands import wait_until_well
        from tests.faults.scene import scene_of
        from tests.faults.storm import Storm

        with scene_of(server, chances, "first host", "second host") as scene:
            wait_until_well(60)
            storm = Storm(scene, given.seconds, round(given.seconds * JOBS_PER_SECOND))
            storm.rage()
            storm.settle()
            scene.stop()
            storm.tell()
            return scene.verdict()


if __name__ == "__main__":
    sys.exit(main())
