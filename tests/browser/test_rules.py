"""Rules made as people make them: by clicking, by keyboard alone, without JavaScript, on a narrow screen."""

import json

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from automation.models import Rule, Run
from automation.services import create_rule
from kjxlkj.notes.filters import condition_faults
from tests.browser.conftest import CONTRAST, nothing_sideways

LIST, ADD, RECIPES = (f"/admin/automation/rule/{page}" for page in ("", "add/", "recipes/"))
LIBRARIAN = {"kind": "librarian_structure"}
NESTED = {
    "folder": "docs",
    "any": [{"untagged": True}, {"tag_any": ["plan", "idea"], "not": {"title_contains": "draft"}}],
    "not": {"any": [{"kind": "settings"}, {"updated_within_days": 3}]},
}


@pytest.fixture
def nested(workspace, owner):
    return create_rule(workspace, actor=owner, name="Nested", condition_json=NESTED, action_json=LIBRARIAN)


@pytest.fixture
def opened(visit, owner, workspace):
    """The page of a rule, or of a new one, when its preview has come."""

    def opened(rule=None, query="", **options):
        page = visit(owner, **options)
        page.goto((reverse("admin:automation_rule_change", args=[rule.pk]) if rule else ADD) + query)
        expect(page.locator("#preview")).not_to_be_empty()
        return page

    return opened


def groups(page, field="condition_json"):
    return page.locator(f".field-{field} .group")


def source(page, field="condition_json"):
    return page.locator(f"#id_{field}")


def choose(row, label, value):
    row.locator(".word").select_option(label=label)
    row.locator(".value").fill(value)


def save(page):
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("successfully")


class TestConditions:
    def test_a_nested_rule_by_clicking_alone(self, opened, notes):
        page = opened()
        page.get_by_label("Name:").fill("Clicked")
        root = groups(page).first
        root.get_by_role("button", name="Add a condition").click()
        choose(root.locator(".row").first, "in folder", "docs")
        root.get_by_role("button", name="Add a group").click()
        either = groups(page).nth(1)
        either.locator(".word").select_option(label="has no tags")
        either.get_by_role("button", name="Add a condition").click()
        choose(either.locator(".row").nth(1), "title contains", "Gamma")
        either.get_by_role("button", name="Add a group").click()
        neither = groups(page).nth(2)
        neither.locator(".mode").select_option(label="none of these hold")
        choose(neither.locator(".row").first, "has any of the tags", "done, old")
        neither.get_by_role("button", name="Add a condition").click()
        choose(neither.locator(".row").nth(1), "text at least this long", "5000")
        expect(page.locator("#preview")).to_contain_text("2 notes meet the condition")
        save(page)
        assert Rule.objects.get().condition_json == {
            "folder": "docs",
            "any": [
                {"untagged": True},
                {"title_contains": "Gamma"},
                {"not": {"any": [{"tag_any": ["done", "old"]}, {"min_length": 5000}]}},
            ],
        }

    def test_what_nobody_touches_stays_as_it_was_to_the_byte(self, opened, nested):
        page = opened(nested)
        before = source(page).input_value(), source(page, "action_json").input_value()
        assert json.loads(before[0]) == NESTED
        for name in ("Condition", "Action"):
            tabs = page.get_by_role("tablist", name=name)
            tabs.get_by_role("tab", name="JSON").click()
            tabs.get_by_role("tab", name="Form").click()
        assert (source(page).input_value(), source(page, "action_json").input_value()) == before
        save(page)
        nested.refresh_from_db()
        assert (nested.condition_json, nested.action_json) == (NESTED, LIBRARIAN)

    def test_one_value_is_changed_and_the_rest_is_kept(self, opened, nested):
        page = opened(nested)
        expect(page.locator(".field-condition_json .row .value").first).to_have_value("docs")
        page.get_by_role("textbox", name="has any of the tags").fill("plan, other")
        page.get_by_role("button", name="Remove “is of kind”").click()
        save(page)
        nested.refresh_from_db()
        either = [{"untagged": True}, {"tag_any": ["plan", "other"], "not": {"title_contains": "draft"}}]
        assert nested.condition_json == {"folder": "docs", "any": either, "not": {"updated_within_days": 3}}

    def test_what_has_no_field_is_shown_and_kept(self, opened, nested):
        """A rule may be older than the vocabulary that it is read with."""
        Rule.objects.filter(pk=nested.pk).update(condition_json={"folder": "a", "any": [{"tog": [1]}, {"tag": "x"}]})
        page = opened(nested)
        other = page.locator(".row.other")
        expect(other).to_contain_text("tog: [1]")
        page.get_by_role("textbox", name="in folder").fill("b")
        assert json.loads(source(page).input_value()) == {"folder": "b", "any": [{"tog": [1]}, {"tag": "x"}]}
        expect(other.locator(".fault")).to_contain_text("unknown")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ('{"any": {}}', "“any” has no list"),
            ("[]", "a condition is not an object"),
            ("{", "it is no JSON"),
            ('{"min_length": 12345678901234567890}', "the number 12345678901234567890 would not stay as it is"),
            ('{"min_length": 7.0}', "the number 7.0 would not stay as it is"),
            ('{"min_length": 1e999}', "the number 1e999 would not stay as it is"),
        ],
    )
    def test_what_the_form_cannot_show_it_leaves_to_the_json(self, opened, nested, text, why):
        page = opened(nested)
        tabs = page.get_by_role("tablist", name="Condition")
        tabs.get_by_role("tab", name="JSON").click()
        source(page).fill(text)
        tabs.get_by_role("tab", name="Form").click()
        expect(page.locator(".cannot-show")).to_contain_text(f"The form cannot show this: {why}.")
        expect(source(page)).to_be_visible()
        expect(source(page)).to_have_value(text)
        source(page).fill('{"tag": "x"}')
        tabs.get_by_role("tab", name="Form").click()
        expect(page.get_by_role("textbox", name="has the tag", exact=True)).to_have_value("x")

    def test_it_nests_as_deep_as_it_may_and_says_so(self, opened):
        page = opened()
        told = page.locator(".field-condition_json").get_by_role("status")
        while "nest 8 deep at the most" not in told.inner_text():
            before = groups(page).count()
            groups(page).last.get_by_role("button", name="Add a group").click()
        expect(groups(page)).to_have_count(before)
        assert condition_faults(json.loads(source(page).input_value().replace('""', '"x"'))) == []
        assert source(page).input_value().count("any") == 7

    def test_it_says_so_each_time_and_no_longer_than_it_is_so(self, opened):
        page = opened()
        told = page.locator(".field-condition_json").get_by_role("status")
        while not told.inner_text():
            groups(page).last.get_by_role("button", name="Add a group").click()
        with page.expect_response("**/preview/"):
            groups(page).first.locator(":scope > .group-foot > .add-row").click()
        expect(told).to_be_empty()
        groups(page).last.get_by_role("button", name="Add a group").click()
        expect(told).to_have_text("Conditions nest 8 deep at the most.")
        expect(told).to_be_visible()
        groups(page).first.locator(":scope > ul > li > .row > .remove").click()
        expect(told).to_be_empty()

    def test_faults_stand_beside_their_fields(self, opened, nested):
        page = opened(nested)
        days = page.get_by_role("spinbutton", name="changed within days")
        days.fill("0")
        row = page.locator(".row", has=days)
        expect(row.locator(".fault")).to_contain_text("expected 1 to 36,500 days")
        expect(days).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#preview-faults")).to_contain_text("condition_json.not.any[1].updated_within_days")
        days.fill("7")
        expect(page.locator(".fault")).to_have_count(0)
        expect(days).not_to_have_attribute("aria-invalid", "true")

    def test_a_refused_form_shows_all_faults_at_once_and_what_was_typed(self, opened, nested):
        page = opened(nested)
        page.get_by_role("textbox", name="title contains").fill("")
        page.get_by_label("Notes in one run:").fill("0")
        page.get_by_label("Name:").fill("")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".errornote")).to_be_visible()
        expect(page.locator(".field-condition_json .row .fault")).to_contain_text("not empty")
        expect(page.locator(".field-max_sources")).to_contain_text("1 to 100,000")
        expect(page.locator(".field-name .errorlist")).to_contain_text("required")
        expect(page.get_by_role("textbox", name="title contains")).to_have_value("")


class TestActions:
    def test_settings_without_json(self, opened, notes):
        page = opened()
        page.get_by_label("Name:").fill("Filled in")
        page.get_by_role("checkbox", name="retag", exact=True).check()
        page.get_by_label("Tags to choose from").fill("platform\ndatabase\n\n")
        page.get_by_label("Only these tags").check()
        page.get_by_label("Least confidence").fill("0.8")
        page.get_by_label("Goal").fill("By subsystem")
        scope = groups(page, "action_json").first
        scope.get_by_role("button", name="Add a condition").click()
        choose(scope.locator(".row"), "in folder", "docs")
        expect(page.locator("#preview")).to_contain_text("By subsystem")
        save(page)
        assert Rule.objects.get().action_json == {
            "kind": "librarian_structure",
            "provider": {"provider_kind": "offline"},
            "plan": {
                "goal": "By subsystem",
                "scope": {"folder": "docs"},
                "allowed_kinds": ["retag_note"],
                "taxonomy": ["platform", "database"],
                "taxonomy_closed": True,
                "min_confidence": 0.8,
            },
        }

    def test_what_was_set_is_shown_and_what_is_emptied_is_left_out(self, opened, workspace, owner):
        action = {
            **LIBRARIAN,
            "protocol": "xml_attrless",
            "plan": {"goal": "A", "max_operations": 3, "review": "manual"},
        }
        rule = create_rule(workspace, actor=owner, name="R", action_json=action)
        page = opened(rule)
        expect(page.get_by_label("Goal")).to_have_value("A")
        page.get_by_label("Goal").fill("")
        expect(page.get_by_label("Proposals in one run at the most")).to_have_value("3")
        save(page)
        rule.refresh_from_db()
        assert rule.action_json == {
            **LIBRARIAN,
            "protocol": "xml_attrless",
            "plan": {"max_operations": 3, "review": "manual"},
        }

    def test_another_kind_has_another_form_and_the_first_is_not_forgotten(self, opened):
        page = opened()
        page.get_by_label("Goal").fill("Mine")
        page.get_by_label("Kind").select_option(label="Make a Markdown archive")
        assert json.loads(source(page, "action_json").input_value()) == {"kind": "export_markdown"}
        expect(page.get_by_label("Goal")).to_have_count(0)
        expect(page.locator("#preview")).to_contain_text("Make a Markdown archive.")
        page.get_by_label("Kind").select_option(label="Have the librarian propose changes")
        expect(page.get_by_label("Goal")).to_have_value("Mine")

    def test_what_has_to_be_given_is_asked_for(self, opened):
        page = opened()
        page.get_by_label("Name:").fill("Told")
        page.get_by_label("Kind").select_option(label="Tell another server (webhook)")
        address = page.get_by_label("Address")
        expect(page.locator(".setting", has=address).locator(".fault")).to_contain_text("give the address")
        address.fill("https://hooks.example.com/notes")
        expect(page.locator(".fault")).to_have_count(0)
        save(page)
        assert Rule.objects.get().action_json == {"kind": "webhook", "url": "https://hooks.example.com/notes"}

    def test_faults_stand_beside_their_fields(self, opened):
        page = opened()
        page.get_by_label("Least confidence").fill("2")
        field = page.locator(".setting", has=page.get_by_label("Least confidence")).last
        expect(field.locator(".fault")).to_contain_text("from 0 to 1")

    def test_what_does_not_fit_is_kept_and_told(self, opened, nested):
        odd = {**LIBRARIAN, "plan": {"goal": 3, "max_operations": 5}, "extra": {"deep": [1]}}
        Rule.objects.filter(pk=nested.pk).update(action_json=odd)
        page = opened(nested)
        panel = page.locator(".field-action_json")
        expect(panel).to_contain_text("Kept as it is: 3")
        expect(panel).to_contain_text("Also set, and kept: extra")
        page.get_by_label("Proposals in one run at the most").fill("6")
        assert json.loads(source(page, "action_json").input_value()) == {
            **odd,
            "plan": {"goal": 3, "max_operations": 6},
        }


class TestTriggers:
    def test_a_schedule_tells_when_it_is_due(self, opened, workspace):
        type(workspace).objects.filter(pk=workspace.pk).update(time_zone="Europe/Berlin")
        page = opened()
        expect(page.get_by_label("Schedule:")).to_be_hidden()
        page.get_by_label("It fires:").select_option(label="On a schedule")
        page.get_by_role("button", name="Every Monday at 3:00").click()
        expect(page.get_by_label("Schedule:")).to_have_value("0 3 * * 1")
        times = page.locator("#next-times")
        expect(times).to_contain_text("Europe/Berlin")
        assert times.inner_text().count("Mon ") == 3
        assert times.inner_text().count("03:00") == 3
        page.get_by_label("Schedule:").fill("0 0 30 2 *")
        expect(page.locator(".field-schedule .fault")).to_contain_text("never comes")
        expect(times).to_be_empty()
        page.get_by_label("Schedule:").fill("15 4 * * *")
        expect(times).to_contain_text("04:15")
        page.get_by_label("Name:").fill("Nightly")
        save(page)
        rule = Rule.objects.get()
        assert (rule.trigger, rule.schedule) == ("schedule", "15 4 * * *")

    def test_what_is_for_events_alone_is_asked_for_them_alone(self, opened):
        page = opened()
        expect(page.get_by_label("Wait for more changes:")).to_be_hidden()
        page.get_by_label("It fires:").select_option(label="When a note is created")
        expect(page.get_by_label("Wait for more changes:")).to_be_visible()


class TestPreview:
    def test_it_follows_what_is_typed_and_tells_why(self, opened, nested, notes):
        page = opened(nested)
        preview = page.locator("#preview")
        expect(preview).to_contain_text("0 notes meet the condition")
        page.locator(".group.none > .group-head .remove").last.click()
        expect(preview).to_contain_text("2 notes meet the condition")
        expect(preview.get_by_role("link", name="Gamma plan")).to_be_visible()
        page.get_by_label("Why, or why not").fill("alpha")
        expect(preview).to_contain_text("the rule does not take it")
        failing = preview.locator(".verdicts .fails", has_text="in folder")
        expect(failing).to_contain_text("alpha.md")
        page.get_by_label("Why, or why not").fill("nowhere")
        expect(preview).to_contain_text("No note is called")

    def test_enter_in_the_question_asks_at_once_and_saves_nothing(self, opened, nested, notes):
        page = opened(nested)
        page.get_by_label("Name:").fill("Not yet")
        why = page.get_by_label("Why, or why not")
        why.fill("alpha")
        why.press("Enter")
        expect(page.locator("#preview .why")).to_contain_text("the rule does not take it")
        with page.expect_response("**/preview/"):
            why.press("Enter")
        expect(page.locator(".messagelist")).to_have_count(0)
        expect(page.get_by_label("Name:")).to_have_value("Not yet")
        nested.refresh_from_db()
        assert nested.name == "Nested"

    def test_what_changes_is_read_out_and_the_examples_are_not(self, opened, nested, notes):
        page = opened(nested)
        told = page.locator("#preview-told")
        expect(told).to_contain_text("0 notes meet the condition")
        told.evaluate("element => (element.stays = true)")
        page.locator(".group.none > .group-head .remove").last.click()
        page.get_by_label("Why, or why not").fill("alpha")
        expect(told).to_contain_text("2 notes meet the condition")
        expect(told).to_contain_text("the rule does not take it")
        assert told.evaluate("element => element.stays")
        expect(page.get_by_role("link", name="Gamma plan")).to_be_visible()
        expect(told.get_by_role("link", name="Gamma plan")).to_have_count(0)

    def test_nothing_is_saved_by_looking(self, opened, nested, notes):
        page = opened(nested)
        page.get_by_role("textbox", name="in folder").fill("elsewhere")
        expect(page.locator("#preview")).to_contain_text("0 notes")
        nested.refresh_from_db()
        assert nested.condition_json == NESTED
        assert not Run.objects.exists()

    def test_who_may_only_read_sees_it_too(self, visit, viewer, nested, notes):
        page = visit(viewer)
        page.goto(reverse("admin:automation_rule_change", args=[nested.pk]))
        expect(page.locator("#preview")).to_contain_text("notes meet the condition")
        expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
        expect(page.get_by_role("link", name="Launch now")).to_have_count(0)


def tab_to(page, target, most=60):
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"not reached by keyboard: {target}")


def test_by_keyboard_alone(opened, notes):
    page = opened()
    page.get_by_label("Name:").focus()
    page.keyboard.type("Typed")
    tab = page.get_by_role("tablist", name="Condition").get_by_role("tab", name="Form")
    tab_to(page, tab)
    page.keyboard.press("ArrowRight")
    expect(source(page)).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(source(page)).to_be_hidden()
    expect(tab).to_be_focused()
    tab_to(page, groups(page).first.get_by_role("button", name="Add a condition"))
    page.keyboard.press("Enter")
    word = groups(page).first.locator(".word")
    expect(word).to_be_focused()
    page.keyboard.type("has the tag")
    page.keyboard.press("Tab")
    page.keyboard.type("plan")
    expect(page.locator("#preview")).to_contain_text("1 note meets the condition")
    tab_to(page, groups(page).first.get_by_role("button", name="Add a group"))
    page.keyboard.press("Enter")
    expect(groups(page).nth(1).locator(".word")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # removes the row
    expect(groups(page).nth(1).locator(".row")).to_have_count(0)
    expect(groups(page).nth(1).get_by_role("button", name="Add a condition")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # removes the group
    expect(groups(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Remove “has the tag”")).to_be_focused()
    save_button = page.get_by_role("button", name="Save", exact=True)
    tab_to(page, save_button)
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("Typed")
    assert Rule.objects.get().condition_json == {"tag": "plan"}


def test_without_javascript(visit, owner, nested, notes):
    page = visit(owner, java_script_enabled=False)
    page.goto(ADD + "?recipe=tag-inbox")
    assert json.loads(source(page).input_value()) == {"folder": "inbox", "untagged": True}
    expect(page.get_by_label("Why, or why not")).to_be_hidden()
    source(page).fill('{"folder": "docs"}')
    page.get_by_label("Schedule:").fill("0 3 * * *")
    save(page)
    assert Rule.objects.get(name="Tag the inbox").condition_json == {"folder": "docs"}
    page.locator("tr", has_text="Nested").get_by_role("switch").click()
    expect(page.locator(".messagelist")).to_contain_text("“Nested” is disabled")
    page.locator("tr", has_text="Tag the inbox").get_by_role("link", name="Launch").click()
    page.get_by_role("button", name="Launch 1 run now").click()
    expect(page.locator(".messagelist")).to_contain_text("is launched: 1 run")


def test_the_list_switches_rules_in_place(visit, owner, workspace):
    rule = create_rule(
        workspace, actor=owner, name="R", trigger="schedule", schedule="0 3 * * *", action_json=LIBRARIAN
    )
    page = visit(owner)
    page.goto(LIST)
    switch = page.get_by_role("switch", name="“R” is enabled")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(page.locator(f"#next-{rule.pk}")).to_contain_text("next")
    switch.focus()
    page.keyboard.press("Enter")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(switch).to_be_focused()
    expect(page.locator(f"#next-{rule.pk}")).to_be_empty()
    rule.refresh_from_db()
    assert not rule.enabled
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")


def out_of_date(page):
    """As after a login in another tab."""
    page.context.clear_cookies(name="csrftoken")
    page.context.add_cookies([{"name": "csrftoken", "value": "a" * 32, "url": page.url}])


def refused(visit):
    """What the browser complains of where a form is out of date."""
    complaints = list(visit.complaints)
    visit.complaints.clear()
    return bool(complaints) and all("403" in complaint for complaint in complaints)


def test_a_switch_that_is_out_of_date_says_so_in_its_place(visit, owner, nested):
    page = visit(owner)
    page.goto(LIST)
    out_of_date(page)
    page.get_by_role("switch").click()
    expect(page.get_by_role("alert")).to_have_text("This page is out of date: reload it.")
    expect(page.locator("#result_list").get_by_role("link", name="Nested", exact=True)).to_be_visible()
    expect(page.locator("#site-name")).to_have_count(1)
    page.get_by_role("link", name="reload it").click()
    page.get_by_role("switch").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert refused(visit)


def test_a_preview_that_is_out_of_date_says_so_in_its_place(visit, opened, nested):
    page = opened(nested)
    out_of_date(page)
    page.get_by_label("Name:").fill("Kept")
    expect(page.locator("#preview").get_by_role("alert")).to_have_text("This page is out of date: reload it.")
    expect(page.get_by_label("Name:")).to_have_value("Kept")
    assert refused(visit)


def test_a_second_click_launches_nothing_more(visit, owner, nested, notes):
    Rule.objects.filter(pk=nested.pk).update(condition_json={})
    page = visit(owner)
    page.goto(reverse("admin:automation_rule_confirm", args=[nested.pk]))
    button = page.get_by_role("button", name="Launch 1 run now")
    # Held back, as by a server that takes its time.
    page.evaluate("sent = 0; document.addEventListener('submit', (event) => { sent += 1; event.preventDefault(); })")
    button.dblclick()
    expect(button).to_be_disabled()
    assert page.evaluate("sent") == 1
    page.reload()
    button.click()
    expect(page.locator(".messagelist")).to_contain_text("is launched: 1 run")
    assert Run.objects.count() == 1


def test_from_a_recipe_to_a_launch(visit, owner, notes):
    page = visit(owner)
    page.goto(LIST)
    page.get_by_role("link", name="Start from a recipe").click()
    page.get_by_role("link", name="Use the recipe “Tag the inbox”").click()
    page.get_by_role("textbox", name="in folder").fill("docs")
    page.get_by_label("has no tags").first.wait_for()
    assert not Rule.objects.exists()
    save(page)
    page.locator("#result_list").get_by_role("link", name="Tag the inbox", exact=True).click()
    page.get_by_role("link", name="Launch now").click()
    expect(page.get_by_text("A launch makes 1 run of it.")).to_be_visible()
    assert not Run.objects.exists()
    page.get_by_role("button", name="Launch 1 run now").click()
    expect(page.locator(".messagelist")).to_contain_text("is launched: 1 run")
    page.goto(reverse("admin:automation_rule_change", args=[Rule.objects.get().pk]))
    expect(page.locator(".rule-runs .status")).to_have_text("queued")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.get_by_label("Name:")).to_have_value("Tag the inbox (copy)")
    expect(page.get_by_label("Enabled")).not_to_be_checked()


def pages(nested):
    return [
        LIST,
        RECIPES,
        ADD + "?recipe=nightly-export",
        reverse("admin:automation_rule_change", args=[nested.pk]),
        reverse("admin:automation_rule_confirm", args=[nested.pk]),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_320_pixels(visit, owner, nested, notes, scheme):
    deep = {"title_contains": "a-very-long-word-" * 20}
    for mode in ("any", "all", "any", "all", "any", "all"):
        deep = {mode: [deep, {"tag": "x"}]}
    Rule.objects.filter(pk=nested.pk).update(condition_json=deep, name="a-very-long-word-" * 11)
    page = visit(owner, viewport={"width": 320, "height": 640}, color_scheme=scheme)
    for url in pages(nested):
        with nothing_sideways(page):
            page.goto(url)
            if page.locator("#preview").count():
                expect(page.locator("#preview")).to_contain_text("condition")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(visit, owner, nested, notes, scheme):
    page = visit(owner, color_scheme=scheme, reduced_motion="reduce")
    for url in pages(nested):
        page.goto(url)
        if page.locator("#preview").count():
            expect(page.locator("#preview")).to_contain_text("condition")
            page.get_by_label("Why, or why not").fill("alpha")
            expect(page.locator("#preview")).to_contain_text("Alpha")
        assert page.evaluate(CONTRAST) == [], url
