"""The project's settings, and an app with a job whose behaviour a test chooses."""

from kjxlkj.settings import *  # noqa: F403 - that is what settings for tests are
from kjxlkj.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.jobs.testapp"]
