"""When a cron line is due. Five fields (minute, hour, day, month, weekday), read in a workspace's time zone.

As Debian's cron has it: a time that a clock change skips comes right after the change, and one that comes twice
counts once. Where the hour or the minute begins with `*`, real time counts: the skipped hour is left out, and the
doubled one comes twice.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from automation.models import Rule
from automation.triggers import SCHEDULE
from kjxlkj.errors import Fault

LINE_MAX = 100
_FORM = "Give minute, hour, day, month and weekday, as in “0 3 * * 1-5”."
# Every date that the calendar has comes within the fifty years that are searched from here.
_SEARCHED_FROM = datetime(2024, 1, 1, tzinfo=UTC)


def faults(line: object, path: str = "schedule") -> list[Fault]:
    """What is wrong with `line`; empty if it is good, and due at least once."""
    if not isinstance(line, str) or not line.strip():
        return [Fault(path, f"expected a cron line. {_FORM}")]
    if len(line) > LINE_MAX:
        return [Fault(path, f"longer than {LINE_MAX} characters. Make several rules of it.")]
    fields = line.split()
    if len(fields) != 5:
        return [Fault(path, f"expected five fields, not {len(fields)}. {_FORM}")]
    try:
        next(CronSim(line, _SEARCHED_FROM))
    except StopIteration:
        return [_never(path)]
    except CronSimError as error:
        if _is_cron(" ".join([*fields[:3], "*", fields[4]])) and _is_cron(" ".join(["0 0 *", *fields[3:]])):
            return [_never(path)]
        return [Fault(path, f"{str(error)[0].lower()}{str(error)[1:]}. {_FORM}")]
    return []


def next_times(line: str, time_zone: str, after: datetime, count: int = 1) -> list[datetime]:
    """The first `count` moments after `after` that a good `line` names, in UTC."""
    times: list[datetime] = []
    last = after
    for due in CronSim(line, after.astimezone(ZoneInfo(time_zone))):
        moment = due.astimezone(UTC)
        # In an hour that comes twice, the first time is found from the second, too.
        if moment > last:
            times.append(moment)
            last = moment
        if len(times) == count:
            break
    return times


def plan_next_tick(rule: Rule, after: datetime) -> None:
    """Note on `rule`, without saving it, when it is due next: never, unless it is enabled and has a schedule."""
    rule.next_tick_at, rule.tick_zone = None, ""
    if rule.trigger == SCHEDULE and rule.enabled:
        rule.tick_zone = rule.workspace.time_zone
        rule.next_tick_at = next(iter(next_times(rule.schedule, rule.tick_zone, after)), None)


def _is_cron(line: str) -> bool:
    try:
        CronSim(line, _SEARCHED_FROM)
    except CronSimError:
        return False
    return True


def _never(path: str) -> Fault:
    return Fault(path, "names a date that never comes, such as 30 February. Choose another day or month.")
