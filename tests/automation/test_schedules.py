"""Cron lines: on the days when clocks change, on dates that are rare or do not exist, and as nonsense."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation.schedules import faults, next_times

BERLIN = "Europe/Berlin"


def local(line, zone, after, count=1):
    """As the clocks of `zone` show them, with `after` read from such a clock."""
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    return [f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}" for time in next_times(line, zone, start, count)]


def test_a_line_is_read_in_the_time_zone():
    midnight = datetime(2026, 1, 5, tzinfo=UTC)
    assert next_times("30 9 * * *", BERLIN, midnight) == [midnight.replace(hour=8, minute=30)]
    assert local("0 3 * * 1-5", BERLIN, "2026-01-02T04:00", 2) == ["2026-01-05 03:00 CET", "2026-01-06 03:00 CET"]


def test_the_moment_itself_is_not_after_itself():
    assert local("0 3 * * *", BERLIN, "2026-01-02T03:00") == ["2026-01-03 03:00 CET"]
    assert local("0 3 * * *", BERLIN, "2026-01-02T02:59:59.999999") == ["2026-01-02 03:00 CET"]


class TestClockChanges:
    def test_a_time_that_does_not_exist_comes_right_after_the_gap_and_once(self):
        # On 29 March 2026, Berlin goes from 02:00 to 03:00.
        assert local("30 2 * * *", BERLIN, "2026-03-28T12:00", 2) == ["2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"]
        assert local("0 2,3 * * *", BERLIN, "2026-03-28T12:00", 2) == ["2026-03-29 03:00 CEST", "2026-03-30 02:00 CEST"]

    def test_a_time_that_comes_twice_counts_once(self):
        # On 25 October 2026, Berlin goes from 03:00 back to 02:00.
        assert local("30 2 * * *", BERLIN, "2026-10-24T12:00", 2) == ["2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"]

    def test_nor_does_it_come_again_to_who_asks_within_the_second_hour(self):
        second_ten_past_two = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
        assert next_times("30 2 * * *", BERLIN, second_ten_past_two) == [datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]

    def test_every_hour_is_every_hour_that_passes(self):
        # 23, 24 and 25 hours long.
        for start, hours in (("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25)):
            times = next_times("0 * * * *", BERLIN, datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(BERLIN)), 30)
            assert {b - a for a, b in pairwise(times)} == {timedelta(hours=1)}
            day = [time for time in times if time.astimezone(ZoneInfo(BERLIN)).date().isoformat() == start]
            assert len(day) == hours - 1  # without its first midnight, which is not after itself

    def test_a_midnight_that_does_not_exist(self):
        # On 6 September 2026, Santiago goes from 00:00 to 01:00.
        assert local("0 0 * * *", "America/Santiago", "2026-09-05T12:00", 2) == [
            "2026-09-06 01:00 -03",
            "2026-09-07 00:00 -03",
        ]

    @given(
        zone=st.sampled_from([BERLIN, "America/New_York", "America/Santiago", "Australia/Lord_Howe", "UTC"]),
        line=st.sampled_from(["30 2 * * *", "*/15 * * * *", "0 * * * *", "0 0 * * *", "15 */6 * * *", "0 1,2,3 * * *"]),
        minutes=st.integers(0, 2 * 365 * 24 * 60),
    )
    def test_times_go_forward_and_going_on_from_one_gives_the_next(self, zone, line, minutes):
        after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        times = next_times(line, zone, after, 4)
        assert after < times[0] < times[1] < times[2] < times[3]
        assert next_times(line, zone, times[0], 3) == times[1:]


class TestRareDates:
    def test_the_31st_comes_in_months_that_have_one(self):
        assert local("0 0 31 * *", "UTC", "2026-01-31T12:00", 3) == [
            "2026-03-31 00:00 UTC",
            "2026-05-31 00:00 UTC",
            "2026-07-31 00:00 UTC",
        ]

    def test_leap_day(self):
        assert faults("0 0 29 2 *") == []
        assert local("0 0 29 2 *", "UTC", "2026-01-01T00:00", 2) == ["2028-02-29 00:00 UTC", "2032-02-29 00:00 UTC"]

    def test_the_last_day_of_the_month(self):
        assert local("0 0 L * *", "UTC", "2028-02-01T00:00", 2) == ["2028-02-29 00:00 UTC", "2028-03-31 00:00 UTC"]

    def test_a_day_or_a_weekday(self):
        assert faults("0 0 30 2 MON") == []
        assert local("0 0 30 2 MON", "UTC", "2026-02-01T00:00") == ["2026-02-02 00:00 UTC"]

    @pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 */20 2 MON#5"])
    def test_dates_that_never_come_are_refused(self, line):
        (fault,) = faults(line)
        assert fault.path == "schedule"
        assert "never comes" in fault.message


class TestNonsense:
    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("", "expected a cron line"),
            ("   ", "expected a cron line"),
            (None, "expected a cron line"),
            (5, "expected a cron line"),
            (["0 3 * * *"], "expected a cron line"),
            ("daily", "five fields, not 1"),
            ("@daily", "five fields, not 1"),
            ("0 0 3 * * *", "five fields, not 6"),
            ("60 * * * *", "bad minute"),
            ("* 24 * * *", "bad hour"),
            ("0 0 0 * *", "bad day-of-month"),
            ("0 0 1 13 *", "bad month"),
            ("0 0 * * 8", "bad day-of-week"),
            ("0 0 31 2 8", "bad day-of-week"),
            ("*/0 * * * *", "bad minute"),
            ("5-1 * * * *", "bad minute"),
            ("1,, * * * *", "bad minute"),
            ("٣ * * * *", "bad minute"),
            ("\0 * * * *", "bad minute"),
            ("0," * 60 + "0 * * * *", "longer than 100"),
        ],
    )
    def test_is_told_what_is_wrong(self, line, told):
        (fault,) = faults(line)
        assert told in fault.message

    def test_the_fault_bears_the_path_it_is_given(self):
        assert faults("x", "schedule")[0].path == "schedule"

    @given(st.lists(st.text("0123456789*/,-#LWMONSU", max_size=5), max_size=7).map(" ".join) | st.text(max_size=120))
    def test_whatever_comes_is_refused_or_due(self, line):
        found = faults(line)
        assert len(found) <= 1
        if not found:
            after = datetime(2026, 1, 1, tzinfo=UTC)
            (time,) = next_times(line, "UTC", after)
            assert time > after
