"""The project's settings and the job that is measured; nothing that decides about speed differs."""

from kjxlkj.settings import *  # noqa: F403 - that is what these settings are
from kjxlkj.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.errands"]
