"""`python -m tests.faults.matrix`: each part is killed at each moment of a job; see `--help`."""

import argparse
import itertools
import sys
import time

from tests.faults.installation import fresh_installation


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Strikes each victim at each moment of an errand's life.")
    parser.add_argument("--seed", type=int, help="repeats the choices of a run, which prints its own")
    parser.add_argument("--repeats", type=int, default=5, help="of each victim and moment")
    parser.add_argument("--seconds", type=float, help="begin no more after so long: a part that chance chooses")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    with fresh_installation(given.seed) as (server, chances):
        # These need settings.
        from tests.faults.cells import MOMENTS, try_cell
        from tests.faults.scene import scene_of
        from tests.faults.strikes import VICTIMS

        cells = list(itertools.product(VICTIMS, MOMENTS)) * given.repeats
        chances.shuffle(cells)
        with scene_of(server, chances, "host") as scene:
            begun = time.monotonic()
            for number, (victim, moment) in enumerate(cells, start=1):
                started = time.monotonic()
                if given.seconds and started > begun + given.seconds:
                    break
                found = try_cell(scene, victim, moment)
                scene.violations += found
                print(
                    f"{number:3}/{len(cells)} {victim:20} {moment:8} {time.monotonic() - started:5.1f} s "
                    f"{'FAILED' if found else 'held'}",
                    flush=True,
                )
            scene.stop()
            return scene.verdict()


if __name__ == "__main__":
    sys.exit(main())
