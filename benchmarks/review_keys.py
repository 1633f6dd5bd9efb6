"""500 decisions by keyboard in a real browser on the real web server: `python -m benchmarks.review_keys`.

What a reviewer feels: the time from a key to the next card having the focus, and to the answer standing in the
place of the card. The time goes by in the page itself, so that the driver's own does not count.
"""

from collections import Counter
from statistics import quantiles
from typing import Any

from benchmarks.figures import Figure, tell
from benchmarks.installation import fresh_installation
from benchmarks.pages import SLUG, reviewer, web_server

DECISIONS = 500
ON_A_PAGE = 25
NEXT_CARD_MS, ANSWER_MS = 150, 150

# From each key to the focus of another card, and to the end of the card's being busy.
WATCH = """() => {
  window.times = { focus: [], answer: [] };
  let pressed = 0, moves = false;
  const busy = new Map();
  addEventListener("keydown", (event) => {
    if ("a1234".includes(event.key)) [pressed, moves] = [performance.now(), true];
  }, true);
  addEventListener("focusin", (event) => {
    if (!moves || !event.target.matches(".card, #next-page")) return;
    times.focus.push(performance.now() - pressed);
    moves = false;
  });
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      if (target.matches?.(".card[aria-busy=true]")) busy.set(target.id, pressed);
      for (const fresh of addedNodes) {
        if (!busy.has(fresh.id)) continue;
        times.answer.push(performance.now() - busy.get(fresh.id));
        busy.delete(fresh.id);
      }
    }
  }).observe(document.getElementById("cards"), { childList: true, subtree: true, attributeFilter: ["aria-busy"] });
}"""


def main() -> None:
    from tests.browser.chromium import find

    path = find()
    if path is None:
        print("skipped: no Chromium here; python -m tests.browser.chromium installs one.")
        return
    with fresh_installation():
        add_operations()
        with web_server() as port:
            focus, answer = decide_all(path, f"http://localhost:{port}")
        report(focus, answer)


def add_operations() -> None:
    from automation.models import Run
    from automation.services import create_rule
    from kjxlkj.notes.cause import by
    from kjxlkj.notes.services import NewNote, create_notes
    from kjxlkj.workspaces.console import actor_at_console
    from kjxlkj.workspaces.services import create_workspace
    from librarian.models import Operation

    owner = actor_at_console(None)
    workspace = create_workspace(slug=SLUG, name="Bench", owner=owner)
    new = [NewNote(f"Note {i}", f"Line {i} of the harbour.\n", f"n/{i}.md") for i in range(DECISIONS)]
    notes = create_notes(workspace, new, cause=by(owner))
    rule = create_rule(workspace, actor=owner, name="R", action_json={"kind": "librarian_structure"})
    run = Run.objects.create(workspace=workspace, rule=rule, trigger="manual", rule_snapshot={"name": "R"})
    Operation.objects.bulk_create(
        Operation(
            workspace=workspace,
            run=run,
            index=i,
            operation_id=f"op{i}",
            kind="rewrite_note" if i % 2 else "retag_note",
            target_note=note,
            target_path=note.path,
            tags=["harbour"],
            body_markdown=f"Line {i} of the old harbour.\n",
            reason="because",
            confidence=0.9,
            base_version=1,
            fingerprint=str(i),
        )
        for i, note in enumerate(notes)
    )


def decide_all(chromium: str, address: str) -> tuple[list[float], list[float]]:
    """Milliseconds from each key to the next card's focus, and to the answer's standing there."""
    from playwright.sync_api import sync_playwright

    cookies = [{"name": name, "value": morsel.value, "url": address} for name, morsel in reviewer().cookies.items()]
    focus: list[float] = []
    answer: list[float] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
        context.add_cookies(cookies)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto("/admin/review/")
        for done in range(0, DECISIONS, ON_A_PAGE):
            page.evaluate(WATCH)
            page.locator(".card[data-pending]").first.focus()
            decide_page(page, done)
            times = page.evaluate("times")
            focus += times["focus"]
            answer += times["answer"]
            if done + ON_A_PAGE < DECISIONS:
                page.locator("#next-page").click()
                page.wait_for_load_state()
        browser.close()
    return focus, answer


def decide_page(page: Any, done: int) -> None:
    for number in range(done, done + ON_A_PAGE):
        for key in ("x", "2") if number % 5 == 0 else ("a",):
            page.keyboard.press(key)
        # One after the other, as nobody reads faster than they are answered.
        page.locator(".card[aria-busy=true]").first.wait_for(state="detached")


def report(focus: list[float], answer: list[float]) -> None:
    from librarian.models import Operation

    print(dict(Counter(Operation.objects.values_list("status", flat=True))))
    undecided = Operation.objects.pending().count()
    tell(Figure("decisions by keyboard that were lost", undecided, 0, ""))
    for name, times, bound in (
        ("key to next card focused", focus, NEXT_CARD_MS),
        ("key to answer in its place", answer, ANSWER_MS),
    ):
        cuts = quantiles(times, n=100)
        tell(Figure(f"{name}, p95", cuts[94], bound, "ms", remark=f"{len(times)} keys, p50 {cuts[49]:.1f} ms"))


if __name__ == "__main__":
    main()
