"""What can be struck, and how. A strike returns whether there was anything to strike."""

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil

from tests.faults.running import Running
from tests.faults.scene import Scene

Strike = Callable[[Scene, str, int | None], bool]
"""At a host of a scene, with the process id of its busy worker where that is known."""


def _kill(processes: Sequence[psutil.Process]) -> bool:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(processes)


def _part(role: str) -> Strike:
    def strike(scene: Scene, host: str, busy: int | None) -> bool:
        return _kill(scene.hosts[host].parts(role))

    return strike


def _busy_worker(scene: Scene, host: str, busy: int | None) -> bool:
    workers = scene.hosts[host].parts("worker")
    if busy is None:
        return _kill(scene.chances.sample(workers, min(1, len(workers))))
    return _kill([worker for worker in workers if worker.pid == busy])


def _idle_worker(scene: Scene, host: str, busy: int | None) -> bool:
    return _kill([worker for worker in scene.hosts[host].parts("worker") if worker.pid != busy])


def _supervisor(scene: Scene, host: str, busy: int | None) -> bool:
    supervisor: Running = scene.hosts[host]
    supervisor.processes()
    supervisor.process.kill()
    supervisor.process.wait()
    return True


def _database(how: signal.Signals) -> Strike:
    def strike(scene: Scene, host: str, busy: int | None) -> bool:
        was_up = scene.server.is_up
        scene.server.stop(how)
        return was_up

    return strike


def _everything(scene: Scene, host: str, busy: int | None) -> bool:
    for running in scene.hosts.values():
        _kill(running.parts("main"))
    return _crash(scene, host, busy)


def _stall(scene: Scene, host: str, busy: int | None) -> bool:
    """All of the cluster is there, and nothing of it moves."""
    mains = scene.hosts[host].parts("main")
    scene.freeze([process for main in mains for process in [main, *main.children(recursive=True)]])
    return bool(mains)


def _cut(condition: str) -> Strike:
    def strike(scene: Scene, host: str, busy: int | None) -> bool:
        if not scene.server.is_up:
            return False
        with scene.server.connect() as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = current_database() AND pid <> pg_backend_pid() AND {condition}"
            )
            return cut.rowcount > 0

    return strike


_crash = _database(signal.SIGQUIT)

VICTIMS: dict[str, Strike] = {
    "busy worker": _busy_worker,
    "idle worker": _idle_worker,
    "all workers": _part("worker"),
    "pusher": _part("pusher"),
    "monitor": _part("monitor"),
    "sentinel": _part("sentinel"),
    "cluster": _part("main"),
    "supervisor": _supervisor,
    "database restarted": _database(signal.SIGINT),
    "database crashed": _crash,
    "everything": _everything,
}

DISTURBANCES: dict[str, Strike] = {
    "stall": _stall,
    "all connections cut": _cut("true"),
    # What it asked last is what a pusher asks.
    "LISTEN connection cut": _cut("query LIKE '%django_q_ormq%SKIP LOCKED%'"),
}
