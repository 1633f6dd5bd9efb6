"""Several hosts on one database: they share the work, and stand in for one another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kjxlkj.jobs.models import Canary
from tests.faults.errands import add, faults_of, wait_until_ended
from tests.faults.gate import Gate
from tests.faults.installation import instead_of_the_suites_database, migrate
from tests.faults.network import Network, network_of
from tests.faults.running import Running
from tests.faults.scene import GRACE_SECONDS, MERCY_SECONDS
from tests.faults.server import Server
from tests.jobs.conftest import history, wait_for
from tests.jobs.testapp.models import Effect, Errand, Moment

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("storms")]

NAMES = ("a", "b")


class Hosts:
    """Those that run; they stay from one test to the next."""

    def __init__(self, network: Network, server: Server, folder: Path) -> None:
        self._network = network
        self._server = server
        self._folder = folder
        self._running: dict[str, tuple[Running, dict[str, str]]] = {}

    def up(self, name: str, **environment: str) -> Running:
        """Started, unless it runs with that environment already; it answers."""
        environment["DATABASE_URL"] = self._server.url_at(self._network.address(name))
        host, has = self._running.get(name, (None, {}))
        if host is None or host.process.poll() is not None or has != environment:
            self.down(name)
            host = Running(environment, log=self._folder / name, prefix=self._network.prefix(name))
            self._running[name] = host, environment
        wait_for(lambda: answers(host), 60)
        host.processes()
        return host

    def down(self, name: str) -> None:
        if name in self._running:
            host, _ = self._running.pop(name)
            host.end()

    def holder_of(self, errand: Errand) -> Running:
        owner = Errand.objects.values_list("lease_owner", flat=True).get(pk=errand.pk)
        (holder,) = [host for host, _ in self._running.values() if clusters_of(host) in owner]
        return holder

    def told(self) -> str:
        return "\n".join(f"--- {name} ---\n{host.told()}" for name, (host, _) in self._running.items())


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with network_of(*NAMES) as network:
        yield network


@pytest.fixture(scope="module")
def server(network: Network, django_db_blocker: Any) -> Iterator[Server]:
    addresses = sorted({network.address(name) for name in NAMES})
    with django_db_blocker.unblock(), Server(addresses) as server, instead_of_the_suites_database(server):
        migrate()
        yield server


@pytest.fixture(scope="module")
def all_hosts(network: Network, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    hosts = Hosts(network, server, tmp_path_factory.mktemp("hosts"))
    yield hosts
    for name in NAMES:
        hosts.down(name)


@pytest.fixture
def hosts(all_hosts: Hosts) -> Iterator[Hosts]:
    yield all_hosts
    print(all_hosts.told())
    Errand.objects.all().delete()


def clusters_of(host: Running) -> str:
    """What the names of its clusters contain, and of no others."""
    return f":{host.process.pid}:"


def answers(host: Running) -> bool:
    return Canary.objects.filter(cluster__contains=clusters_of(host), answered_at__isnull=False).exists()


def done_by(host: Running) -> int:
    return Effect.objects.filter(cluster__contains=clusters_of(host)).count()


def assert_ended_well(*errands: Errand) -> None:
    wait_until_ended(errands, 90)
    for errand in errands:
        errand.refresh_from_db()
        assert faults_of(errand) == [], history(errand)


def assert_works(host: Running) -> None:
    before = done_by(host)

    def works() -> bool:
        assert_ended_well(*[add("last", 0.2) for _ in range(4)])
        return done_by(host) > before

    wait_for(works, 90)


def assert_stops_in_order(host: Running) -> None:
    status, seconds, left = host.stop(GRACE_SECONDS + MERCY_SECONDS)
    assert (status, left) == (0, []), f"after {seconds:.1f} s"


def test_hosts_share_the_work(hosts: Hosts) -> None:
    both = hosts.up("a"), hosts.up("b")
    assert_ended_well(*[add("last", 0.3) for _ in range(12)])
    assert all(done_by(host) for host in both)


def test_a_cap_holds_over_all_hosts(hosts: Hosts) -> None:
    hosts.up("a")
    hosts.up("b")
    errands = [add("share", 2) for _ in range(8)]
    assert_ended_well(*errands)
    assert max(errand.progress_done for errand in errands) == 2


def test_the_job_of_a_host_that_is_killed_is_done_by_another(server: Server, hosts: Hosts) -> None:
    both = {hosts.up("a"), hosts.up("b")}
    with Gate(server, Moment.MIDDLE) as gate:
        errand = add("last", 0.1, pause_at=Moment.MIDDLE)
        gate.wait_for_worker()
        killed = hosts.holder_of(errand)
        killed.process.kill()
        killed.process.wait()
        wait_for(lambda: killed.left_behind() == [])
    (other,) = both - {killed}
    assert_ended_well(errand)
    assert (errand.attempts, done_by(other)) == (2, 1)


def test_a_host_that_is_stopped_hands_its_jobs_over_without_an_attempt_counting(server: Server, hosts: Hosts) -> None:
    both = {hosts.up("a"), hosts.up("b")}
    with Gate(server, Moment.MIDDLE) as gate:
        errand = add("last", 0.1, pause_at=Moment.MIDDLE)
        gate.wait_for_worker()
        stopped = hosts.holder_of(errand)
        assert_stops_in_order(stopped)
    (other,) = both - {stopped}
    assert_ended_well(errand)
    assert (errand.attempts, done_by(other)) == (1, 1)


def test_a_host_is_cut_off_in_the_middle_of_its_jobs_and_comes_back(
    network: Network, server: Server, hosts: Hosts
) -> None:
    hosts.down("b")
    first = hosts.up("a")
    with Gate(server, Moment.EFFECT) as effect, Gate(server, Moment.MIDDLE) as middle:
        errands = [
            add("last", 0.1, sources=3, pause_at=Moment.EFFECT),
            add("stepwise", 0.1, sources=3, pause_at=Moment.MIDDLE),
        ]
        effect.wait_for_worker()
        middle.wait_for_worker()
        second = hosts.up("b")
        network.cut("a", first)
    try:
        assert_ended_well(*errands)
        assert done_by(second) == 3 + 1  # the other steps were done already
    finally:
        network.heal("a", first)
    assert_works(first)
    # Nothing has come late.
    assert_ended_well(*errands)
    assert_stops_in_order(first)


def test_each_queue_is_served_by_the_hosts_that_have_workers_for_it(hosts: Hosts, settings: Any) -> None:
    settings.JOB_QUEUES = {"default": 0, "long": 0}
    short = hosts.up("a", KJXLKJ_QUEUES="default:2,long:0")
    long = hosts.up("b", KJXLKJ_QUEUES="default:0,long:1")
    errands = [add("last", 0.1, queue=queue) for queue in ("default", "long") for _ in range(3)]
    assert_ended_well(*errands)
    for errand in errands:
        server = short if errand.queue == "default" else long
        assert [clusters_of(server) in effect.cluster for effect in errand.effects.all()] == [True]
