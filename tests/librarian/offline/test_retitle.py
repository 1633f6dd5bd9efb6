import pytest

from librarian.offline.retitle import propose
from tests.librarian.offline.vaults import note


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("Untitled", "# Plan for spring\ntext", "Plan for spring"),
        ("Untitled 3", "text\n\nPlan for spring\n---\n", "Plan for spring"),
        ("", "## Plan for *spring*", "Plan for spring"),
        ("new document (2)", "# Plan [[a|for]] spring", "Plan for spring"),
        ("Note 12", "```\n# not this\n```\n# Plan", "Plan"),
        ("未命名", "# 春天的计划", "春天的计划"),
        ("20240501", "# Plan for spring", "Plan for spring (20240501)"),
        ("2024-05-01", "# 2024-05-01 Plan", "2024-05-01 Plan"),
        ("13e4c4ff6674e948", "# Plan", "Plan"),
        ("Untitled", "- [ ] ask about the new berths. Then more.", "Ask about the new berths"),
        ("Untitled", "hm\n\n1. water the tulips in the hall", "Water the tulips in the hall"),
        ("Untitled", "# Notes\n\nWater the tulips in the hall.", "Water the tulips in the hall"),
        ("Untitled", "昨日東京塔看了很久。然后回家。", "昨日東京塔看了很久"),
        ("Untitled", "word " * 60, "Word word word word word word word word word word word…"),
    ],
)
def test_a_title_that_is_none_is_replaced(title, body, expected):
    proposal = propose(note("inbox/x.md", body, title=title), {})
    assert proposal is not None
    assert proposal.title == expected
    assert proposal.kind == "retitle_note"
    assert proposal.reason.startswith("The title is")
    assert 0 < proposal.confidence <= 0.95


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("release-checklist.md", "# Release checklist", "Release checklist"),
        ("release-checklist.md", "# What we do before a release", "What we do before a release"),
        ("Plan.md", "# What we do in spring\ntext", "What we do in spring"),
        ("day-one-annoyances.md", "No heading here.", "Day one annoyances"),
    ],
)
def test_the_name_of_the_file_gives_way_to_the_heading(path, body, expected):
    assert propose(note(path, body), {}).title == expected


@pytest.mark.parametrize(
    ("path", "title", "body"),
    [
        ("a.md", "A good title", "# Another heading"),
        ("Plan for spring.md", "Plan for spring", "# PLAN: for Spring!"),
        ("Plan.md", "Plan", "text\n\n# Something else"),
        ("Saint-Imier.md", "Saint-Imier", "A town."),
        ("u.md", "Untitled", ""),
        ("u.md", "Untitled", "# Untitled"),
        ("u.md", "Untitled", "ok"),
        ("2024-05-01.md", "2024-05-01", "# May 1st, 2024"),
        ("2024-05-01.md", "2024-05-01", "# 2024-05-01"),
        ("1984.md", "1984", "# A novel".replace("# ", "")),
        ("Note taking.md", "Note taking", "text"),
        ("Draft beer.md", "Draft beer", "text"),
    ],
)
def test_a_good_title_stays_and_without_evidence_nothing_is_proposed(path, title, body):
    assert propose(note(path, body, title=title), {}) is None


def test_sources_of_a_title_are_trusted_by_rank():
    heading, slug, sentence, date = (
        propose(note(path, body, title=title), {}).confidence
        for path, title, body in [
            ("x.md", "Untitled", "# Plan for spring"),
            ("the-spring-plan.md", "the-spring-plan", "# Plan for spring"),
            ("x.md", "Untitled", "We plan for spring now."),
            ("2024-05-01.md", "2024-05-01", "We plan for spring now."),
        ]
    )
    assert heading > slug > sentence > 0.5 > date


def test_a_name_that_is_taken_is_proposed_with_doubt_and_says_so():
    free, taken = (propose(note("x.md", "# Plan", title="Untitled"), names) for names in ({}, {"plan": 1}))
    assert taken.confidence < free.confidence
    assert "another note" in taken.reason
