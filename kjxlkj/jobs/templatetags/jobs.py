"""How templates tell of jobs and workers."""

from datetime import datetime

from django import template
from django.utils import timezone

from kjxlkj.jobs.health import Cluster

register = template.Library()


@register.filter
def is_to_come(moment: datetime | None) -> bool:
    return moment is not None and moment > timezone.now()


@register.filter
def seconds(number: float | None) -> str:
    """A duration as people say it, as exact as it matters."""
    if number is None:
        return "–"
    if number < 1:
        return f"{number * 1000:.0f} ms"
    if number < 100:
        return f"{number:.1f} s" if number < 10 else f"{number:.0f} s"
    minutes = round(number / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@register.filter
def host(cluster: str) -> str:
    return cluster.split(":")[0]


@register.filter
def process_id(cluster: str) -> str:
    """Of its supervisor."""
    parts = cluster.split(":")
    return parts[1] if len(parts) > 1 else "–"


@register.filter
def state_in_words(cluster: Cluster) -> str:
    if cluster.is_well:
        return "busy: each worker is at a job" if cluster.live_leases >= cluster.workers else "well"
    if cluster.canary_age is None:
        return "has not answered yet"
    return f"silent for {seconds(cluster.silent_for)}"
