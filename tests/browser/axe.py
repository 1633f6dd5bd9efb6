"""Faults in accessibility that axe-core finds in a page as it stands, the page's Content-Security-Policy on."""

from importlib.resources import files

_SOURCE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async options => (await axe.run(options)).violations.flatMap(
  fault => fault.nodes.map(node => `${fault.id}: ${node.target.join(" ")}: ${node.failureSummary}`))"""


def faults(page, *rules):
    """What axe finds by WCAG 2.2 AA and good practice, or by `rules` alone."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_SOURCE)
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": _TAGS}
    # It leaves out the size of targets unless asked. The admin's search box has a picture, with a text, for its label.
    switched = {"target-size": {"enabled": True}, "label-title-only": {"enabled": False}}
    # Its copies of style sheets, made for one rule on turned screens, are inline ones, which the policy refuses aloud.
    return page.evaluate(_RUN, {"runOnly": only, "rules": {} if rules else switched, "preload": False})
