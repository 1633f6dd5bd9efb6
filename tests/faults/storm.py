"""Jobs of all kinds come, and things break, both at random times; afterwards everything has to be right."""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django_q.models import OrmQ

from kjxlkj.errors import Conflict
from kjxlkj.ids import new_id
from kjxlkj.jobs import messages, services
from tests.faults.errands import faults_of, wait_until_ended
from tests.faults.installation import insist, wait_until
from tests.faults.scene import Scene
from tests.faults.strikes import DISTURBANCES, VICTIMS
from tests.jobs.conftest import add_errand, history
from tests.jobs.testapp.models import Errand

_STRIKES = VICTIMS | DISTURBANCES
_PATIENCE = 180.0
_TICK_SECONDS = 0.05


class Storm:
    def __init__(self, scene: Scene, seconds: float, jobs: int) -> None:
        self._scene = scene
        self._chances = scene.chances
        self._ids = [new_id() for _ in range(jobs)]
        self._cancelled: set[UUID] = set()
        self._strikes: Counter[str] = Counter()
        # Deeds by the time at which they are due; the number decides between equals.
        self._deeds: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ended = 0
        self._last_end = time.monotonic()
        self._longest_silence = 0.0
        self._tolerated: list[Errand] = []
        self._plan(seconds)

    def _plan(self, seconds: float) -> None:
        for errand_id in self._ids:
            self._later(self._chances.uniform(0, seconds), self._errand(errand_id))
        at = self._chances.uniform(1, 3)
        while at < seconds:
            for _ in range(self._chances.choice([1, 1, 1, 2])):
                self._later(at, self._strike)
            at += self._chances.uniform(2, 6)

    def _later(self, seconds: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._deeds, (time.monotonic() + seconds, next(self._numbers), deed))

    # --- While it rages -----------------------------------------------------------------------------------------

    def rage(self) -> None:
        while self._deeds:
            while self._deeds and self._deeds[0][0] <= time.monotonic():
                _, _, deed = heapq.heappop(self._deeds)
                try:
                    deed()
                except (OperationalError, InterfaceError):
                    connection.close()
                    self._later(0.3, deed)
            self._scene.watch()
            self._look_for_ends()
            time.sleep(_TICK_SECONDS)

    def _errand(self, errand_id: UUID) -> Callable[[], None]:
        """What adds it, and what else is done to it."""
        script = self._chances.choice(["last", "last", "linger", "stepwise", "retry_once"])
        # Most are short, some long.
        longest = {"linger": 1.0, "retry_once": 0.0}.get(script, 3.0)
        seconds = round(min(longest, self._chances.expovariate(1.5)), 2)
        sources = self._chances.randint(1, 4)
        deeds: list[tuple[float, Callable[[], None]]] = []
        if self._chances.random() < 0.15:
            deeds.append((self._chances.uniform(0, 3), partial(self._cancel, errand_id)))
        again = self._chances.choice([0, 0, 0, 1, 3])
        deeds += [(self._chances.uniform(0, 4), partial(_post_again, errand_id)) for _ in range(again)]
        if self._chances.random() < 0.1:
            deeds.append((0.0, lambda: _post_again(new_id())))

        def add() -> None:
            if not Errand.objects.filter(pk=errand_id).exists():
                add_errand(script, seconds, id=errand_id, sources=sources, max_attempts=20)
            for delay, deed in deeds:
                self._later(delay, deed)

        return add

    def _cancel(self, errand_id: UUID) -> None:
        self._cancelled.add(errand_id)
        try:
            services.cancel(Errand.objects.get(pk=errand_id))
        except Conflict:
            return  # it has ended

    def _strike(self) -> None:
        host = self._chances.choice(list(self._scene.hosts))
        # Where nothing is to be struck, since something else was just before, another blow falls.
        for name in self._chances.sample(list(_STRIKES), len(_STRIKES)):
            if _STRIKES[name](self._scene, host, None):
                self._strikes[name] += 1
                break
        self._later(self._chances.choice([0.0, self._chances.uniform(0, 2), self._chances.uniform(0, 6)]), self._mend)

    def _mend(self) -> None:
        self._scene.mend()
        connection.close()

    def _look_for_ends(self) -> None:
        try:
            ended = Errand.objects.finished().count()
        except (OperationalError, InterfaceError):
            connection.close()
            return
        now = time.monotonic()
        if ended > self._ended:
            self._ended, self._last_end = ended, now
        self._longest_silence = max(self._longest_silence, now - self._last_end)

    # --- Afterwards ---------------------------------------------------------------------------------------------

    def settle(self) -> None:
        self._mend()
        started = time.monotonic()
        wait_until_ended([Errand(pk=errand_id) for errand_id in self._ids], _PATIENCE)
        print(f"all had ended {time.monotonic() - started:.1f} s after the last fault", flush=True)
        for errand in insist(lambda: list(Errand.objects.prefetch_related("effects"))):
            self._judge(errand)
        missing = set(self._ids) - set(Errand.objects.values_list("pk", flat=True))
        self._scene.violations += [f"errand {errand_id} is gone" for errand_id in missing]
        # Those that a killed process had taken come again, and are found to be of no use.
        if not wait_until(lambda: not OrmQ.objects.filter(key="default").exists(), _PATIENCE):
            left = [f"{queued.task['args']} until {queued.lock}" for queued in OrmQ.objects.filter(key="default")]
            self._scene.violations.append(f"left in the queue: {left}")

    def _judge(self, errand: Errand) -> None:
        may_fail_with = {"WORKER_LOST", "CANCELLED"} if errand.pk in self._cancelled else {"WORKER_LOST"}
        if errand.error_code == "WORKER_LOST":
            self._tolerated.append(errand)
        found = faults_of(errand, may_fail_with=may_fail_with)
        if found:
            self._scene.violations.append(
                "\n  ".join(
                    [
                        f"errand {errand.pk} {errand.script} {errand.argument} x {errand.sources}: {'; '.join(found)}",
                        f"history: {' '.join(history(errand))}",
                        *self._scene.told(str(errand.pk)),
                    ]
                )
            )

    def tell(self) -> None:
        errands = list(Errand.objects.all())
        outcomes = Counter(f"{errand.status} {errand.error_code}".strip() for errand in errands)
        attempts = Counter(errand.attempts for errand in errands)
        print(f"jobs: {len(errands)}, {_listed(outcomes)}")
        print(f"faults: {self._strikes.total()}, {_listed(self._strikes)}")
        print(f"attempts: {', '.join(f'{number} x {attempts[number]}' for number in sorted(attempts))}")
        print(f"longest time without a job ending: {self._longest_silence:.1f} s")
        for errand in self._tolerated:
            print(f"worker lost for good: errand {errand.pk}: {' '.join(history(errand))}")


def _post_again(errand_id: UUID) -> None:
    messages.post_to("default", "kjxlkj.jobs.tasks.execute", "testapp.errand", errand_id)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
