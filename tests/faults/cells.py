"""One victim at one moment: the errand ends well all the same, and the next one too."""

from contextlib import suppress

import psycopg

from tests.faults.errands import add, faults_of, wait_until_ended, wait_until_well
from tests.faults.gate import Gate
from tests.faults.scene import Scene
from tests.faults.strikes import VICTIMS
from tests.jobs.conftest import history
from tests.jobs.testapp.models import Errand, Moment

AFTER = "after"
"""It has finished, and its message is not acknowledged."""
MOMENTS = [*Moment.values, AFTER]

# Of a machine that is busy with other tests as well.
_PATIENCE = 90.0


def try_cell(scene: Scene, victim: str, moment: str) -> list[str]:
    """What was wrong."""
    script = scene.chances.choice(["last", "stepwise"])
    errand = _struck(scene, victim, moment, script)
    scene.watch()
    found = _faults(scene, errand, f"{victim} at {moment}")
    found += _faults(scene, add("last", 0.05), f"the one after {victim} at {moment}")
    # The next cell must not meet what this one has left to be mended.
    if not wait_until_well(_PATIENCE):
        found.append(f"{victim} at {moment}: the cluster has not come back")
    scene.watch()
    return found


def _struck(scene: Scene, victim: str, moment: str, script: str) -> Errand:
    pause_at = Moment.MIDDLE if moment == AFTER else Moment(moment)
    # A gate that the database took with it is open already.
    with suppress(psycopg.OperationalError), Gate(scene.server, pause_at) as gate:
        errand = add(script, 0.1, sources=3, pause_at=pause_at)
        busy = gate.wait_for_worker()
        if moment == AFTER:
            gate.hold_acknowledgement(errand)
            gate.open_until_acknowledgement()
        VICTIMS[victim](scene, "host", busy)
        scene.mend()
    return errand


def _faults(scene: Scene, errand: Errand, what: str) -> list[str]:
    wait_until_ended([errand], _PATIENCE)
    errand.refresh_from_db()
    if not (found := faults_of(errand)):
        return []
    lines = [f"history: {' '.join(history(errand))}", *scene.told(str(errand.pk))]
    return [f"{what}: errand {errand.pk} {errand.script}: {'; '.join(found)}", *(f"  {line}" for line in lines)]
