"""Wiring of the page of workers and queues into the admin."""

from kjxlkj.admin_site import add_page, add_panel
from kjxlkj.jobs import pages

add_page("workers/", pages.workers, "workers")

add_panel(40, "jobs/_panel.html", pages.panel)
