"""Real servers and real kills. What is tested is what is left to people when something dies."""

import json
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from kjxlkj.embedded_postgres import server
from kjxlkj.embedded_postgres.keeper import LARGEST_LOG, bound_log
from kjxlkj.embedded_postgres.layout import LONGEST_SOCKET_PATH, Layout
from tests.embedded_postgres.conftest import (
    ROOT,
    STARTED,
    is_gone,
    is_running,
    keeper,
    kill_everything,
    other_account,
    postmaster,
    wait_until,
)

KEPT = "SELECT word FROM kept"
HERE = [["still here"]]


def test_processes_that_start_at_once_on_a_fresh_directory_share_one_server(place, start):
    directory = place / "postgres"

    users = [start(directory) for _ in range(8)]
    for user in users:
        user.send(sql=STARTED)
    answers = [user.receive() for user in users]

    assert "rows" in answers[0], answers[0]
    assert all(answer == answers[0] for answer in answers)


def test_an_initdb_whose_processes_were_killed_is_begun_anew(place, start):
    directory = place / "postgres"
    user = start(directory)
    user.send(sql=STARTED)
    wait_until((directory / "data.unfinished" / "PG_VERSION").exists, "initdb to begin")
    user.kill()
    making = [
        process for process in psutil.process_iter(["cmdline"]) if str(directory) in (process.info["cmdline"] or [])
    ]
    assert making
    making[0].send_signal(signal.SIGKILL)

    assert "rows" in start(directory).ask(sql=STARTED)
    assert not (directory / "data.unfinished").exists()


def test_the_server_stays_until_the_last_user_ends_even_by_a_kill(directory, start):
    first, last = start(directory), start(directory)
    started = first.sql(STARTED)
    assert last.sql(STARTED) == started
    # A supervisor that ends its descendants must not end it either.
    assert keeper(directory) not in psutil.Process(first.process.pid).children(recursive=True)

    first.end()
    assert last.sql(STARTED) == started

    last.kill()
    wait_until(lambda: is_gone(directory), "the server to stop")
    assert not server.status(directory).running


def test_a_newcomer_during_the_stop_gets_a_server_that_stays(directory, start):
    for _ in range(3):
        leaving = start(directory)
        leaving.sql(KEPT)
        newcomer = start(directory)
        leaving.kill()
        assert newcomer.sql(KEPT) == HERE
        assert newcomer.sql(KEPT) == HERE
        newcomer.kill()


def test_data_are_there_after_everything_was_killed(directory, start):
    user = start(directory)
    user.sql("DROP TABLE IF EXISTS written; CREATE TABLE written AS SELECT 42 AS answer")
    kill_everything(directory, user)
    assert (directory / "data/postmaster.pid").exists()

    assert start(directory).sql("SELECT answer FROM written") == [[42]]


def test_a_pid_file_whose_process_id_is_another_process_s_now_does_not_hinder(directory, start):
    user = start(directory)
    user.sql(KEPT)
    socket_lock = directory / ".s.PGSQL.5432.lock"
    kill_everything(directory, user)
    owner = directory.stat()
    account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "300"], **account) as innocent:
        for pid_file in (directory / "data/postmaster.pid", socket_lock):
            _, rest = pid_file.read_text().split("\n", 1)
            pid_file.write_text(f"{innocent.pid}\n{rest}")

        assert start(directory).sql(KEPT) == HERE
        assert innocent.poll() is None
        innocent.kill()


def test_a_server_started_by_hand_is_left_alone(directory, start):
    by_hand = [server.binaries() / "postgres", "-D", directory / "data", "-c", "listen_addresses="]
    owner = directory.stat()
    account = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen([*by_hand, "-p", "5999", "-k", directory], stderr=subprocess.DEVNULL, **account) as hand:
        wait_until((directory / ".s.PGSQL.5999").exists, "the server started by hand")
        assert "kjxlkj did not start" in start(directory).error()
        assert hand.poll() is None
        hand.send_signal(signal.SIGINT)


def test_when_its_keeper_is_killed_the_server_goes_too_and_the_next_connection_starts_another(directory, start):
    user = start(directory)
    started = user.sql(STARTED)
    old = postmaster(directory)
    old.suspend()
    parent = keeper(directory)
    parent.kill()
    try:
        wait_until(lambda: not is_running(parent), "the keeper to end")
        assert not is_gone(directory)  # so the next keeper will wait
    finally:
        old.resume()
    psutil.wait_procs([old], timeout=60)
    assert not old.is_running()

    assert user.sql(KEPT) == HERE
    assert user.sql(STARTED) != started


def test_a_living_process_reconnects_after_the_server_was_killed(directory, start):
    user = start(directory)
    started = user.sql(STARTED)
    postmaster(directory).send_signal(signal.SIGKILL)

    assert user.sql(KEPT) == HERE
    assert user.sql(STARTED) != started


def test_a_forked_child_keeps_the_server_when_its_parent_ends(directory, start):
    parent = start(directory)
    started = parent.sql(STARTED)
    child = psutil.Process(parent.ask(call="fork")["child"])
    # Parent and child read the same standard input: while one of them is stopped, the other one answers.
    parent.process.send_signal(signal.SIGSTOP)
    parent_state = psutil.Process(parent.process.pid).status
    wait_until(lambda: parent_state() == psutil.STATUS_STOPPED, "the parent to be stopped")
    assert parent.sql(STARTED) == started
    parent.process.kill()
    parent.process.wait()
    assert parent.sql(STARTED) == started

    parent.process.stdin.close()
    wait_until(lambda: not is_running(child), "the child to end")
    wait_until(lambda: is_gone(directory), "the server to stop")


def test_a_forked_child_that_does_not_use_the_server_does_not_keep_it(directory, start):
    parent = start(directory)
    parent.sql(STARTED)
    child = psutil.Process(parent.ask(call="fork")["child"])
    child.suspend()
    try:
        parent.kill()
        wait_until(lambda: is_gone(directory), "the server to stop")
        assert is_running(child)
    finally:
        child.kill()


def test_release_waits_for_the_stop_but_not_while_others_use_it(directory, start):
    first, second = start(directory), start(directory)
    started = first.sql(STARTED)
    second.sql(STARTED)

    assert first.ask(call="release") == {"released": True}
    assert second.sql(STARTED) == started
    assert second.ask(call="release") == {"released": True}
    assert is_gone(directory)
    assert first.sql(KEPT) == HERE


@pytest.mark.parametrize(
    "name",
    ["a path with spaces", 'comma, "quotes" and ünïcode', "/".join(["too long for a socket"] * 6)],
    ids=["spaces", "comma-quotes-unicode", "too-long"],
)
def test_any_path_will_do(made, place, start, name):
    directory = place / name
    shutil.move(made, directory.parent / directory.name if directory.parent.is_dir() else _parent(directory))
    try:
        user = start(directory)
        assert user.sql(KEPT) == HERE
        assert user.ask(call="release") == {"released": True}
        sockets = Layout(directory).socket_directory
        assert len(os.fsencode(sockets)) < LONGEST_SOCKET_PATH
        assert sockets == directory or not sockets.exists()
    finally:
        user.kill()
        wait_until(lambda: is_gone(directory), "the server to stop")
        shutil.move(directory, made)


def _parent(directory):
    directory.parent.mkdir(parents=True)
    return directory


def test_a_squatted_socket_directory_is_refused(place, start):
    directory = place / "/".join(["too long for a socket"] * 6)
    squatted = Layout(directory).socket_directory
    squatted.mkdir()
    squatted.chmod(0o777)
    try:
        assert str(squatted) in start(directory).error()
    finally:
        squatted.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_may_keep_its_data_where_no_other_account_can_go(made, place, start):
    (place / "shut").mkdir(mode=0o700)
    directory = place / "shut" / "postgres"
    shutil.move(made, directory)
    try:
        user = start(directory)
        assert user.sql(KEPT) == HERE
        assert postmaster(directory).uids().real == directory.stat().st_uid != 0
        assert (place / "shut").stat().st_mode & 0o777 == 0o700
        user.sql("SELECT 1")
        keeper(directory).send_signal(signal.SIGKILL)
        assert user.sql(KEPT) == HERE
    finally:
        user.kill()
        wait_until(lambda: is_gone(directory), "the server to stop")
        shutil.move(directory, made)


def test_a_normal_user_and_root_can_use_the_same_directory(place, start):
    account, options = other_account()
    os.chown(place, account.pw_uid, account.pw_gid)
    user = start(place / "postgres", **options)
    started = user.sql(STARTED)
    assert postmaster(place / "postgres").username() == account.pw_name
    root = start(place / "postgres")
    assert root.sql(STARTED) == started

    user.end()
    assert root.sql(STARTED) == started


def test_data_of_root_are_refused_to_a_user_with_the_remedy(directory, start):
    account, options = other_account()
    if account.pw_uid == directory.stat().st_uid:
        pytest.skip("the server runs as this very account here")
    error = start(directory, **options).error()
    assert error.startswith("ImproperlyConfigured")
    assert "KJXLKJ_DATA_DIR" in error


def test_data_of_another_version_are_refused_and_not_touched(place, start):
    data = place / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    error = start(place / "postgres").error()
    assert error.startswith("ImproperlyConfigured")
    assert "PostgreSQL 16" in error
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_why_the_server_does_not_start_is_told(directory, start):
    settings = directory / "data/postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("no_such_setting = 1\n")
    try:
        error = start(directory).error()
    finally:
        settings.write_text(before)
    assert error.startswith("OperationalError")
    assert "no_such_setting" in error


def test_text_of_every_script_is_compared_and_indexed_alike(directory, start):
    user = start(directory)
    assert user.sql("SELECT lower('ÄÉŽ ПРИВЕТ'), upper('äéž привет'), 'ÜBER' ILIKE 'über', 'É' ~* 'é'") == [
        ["äéž привет", "ÄÉŽ ПРИВЕТ", True, True]
    ]
    assert user.sql("SELECT to_tsvector('simple', 'Größe ПРИВЕТ 日本語')::text") == [
        ["'größe':1 'привет':2 '日本語':3"]
    ]


def test_nobody_is_let_in_but_over_the_private_socket_and_without_a_password_by_name(directory, start):
    user = start(directory)
    assert user.sql("SELECT setting FROM pg_settings WHERE name = 'listen_addresses'") == [[""]]
    assert user.sql("SELECT type, auth_method FROM pg_hba_file_rules") == [["local", "peer"]]
    assert user.sql("SELECT setting FROM pg_settings WHERE name IN ('data_checksums', 'fsync')") == [["on"], ["on"]]
    assert directory.stat().st_mode & 0o077 == 0


def test_the_log_is_bounded_under_a_running_server(directory, start):
    user = start(directory)
    user.sql("SELECT 1")
    log = Layout(directory).log
    with log.open("ab") as file:
        file.write(b"x" * LARGEST_LOG)
    bound_log(log)
    assert log.stat().st_size < 1000
    postmaster(directory).send_signal(signal.SIGHUP)
    wait_until(lambda: log.stat().st_size > 0, "the server to write on")
    assert log.stat().st_size < 1000


@pytest.fixture
def manage(place):
    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, "KJXLKJ_DATA_DIR": str(place)} | {"DATABASE_URL": ""},
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    yield run
    wait_until(lambda: is_gone(place / "postgres"), "the server to stop")


@pytest.mark.parametrize("command", [["help"], ["check"], ["makemigrations", "--check", "--dry-run"]], ids=" ".join)
def test_commands_that_need_no_data_start_no_server(manage, place, command):
    done = manage(*command)
    assert "Traceback" not in done.stderr
    assert "RuntimeWarning" not in done.stderr
    assert not (place / "postgres").exists()


def test_dbshell_opens_a_shell_on_the_server(manage):
    done = manage("dbshell", "--", "-At", "-c", "SELECT current_database(), current_user")
    assert done.stdout == "kjxlkj|kjxlkj\n", done.stderr


def test_with_a_database_url_the_package_is_not_imported(place):
    code = "import django, json, sys; django.setup(); print(json.dumps([m for m in sys.modules if 'embedded' in m]))"
    environment = {
        "DJANGO_SETTINGS_MODULE": "kjxlkj.settings",
        "DATABASE_URL": "postgres://u:p@localhost/x",
        "KJXLKJ_DATA_DIR": str(place),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []
