"""Wiring of the review pages, the list of operations and the overview's panels into the admin."""

from automation.rule_panels import add_rule_panel
from kjxlkj.admin_site import add_page, add_panel
from librarian import bulk_pages, pages, prompt_pages, reading_pages, report_pages, trust_pages
from librarian.dashboard import decided, next_steps, waiting
from librarian.ledger_admin import DisclosureAdmin
from librarian.operation_admin import OperationAdmin
from librarian.provider_page import probe_provider

__all__ = ["DisclosureAdmin", "OperationAdmin"]

add_page("review/", pages.queue, "review_queue")
add_page("review/decide/", pages.decide, "review_decide")
add_page("review/undo/", pages.undo, "review_undo")
add_page("review/acceptance/", trust_pages.acceptance_page, "review_acceptance")
add_page("review/together/", bulk_pages.bulk, "review_bulk")
add_page("review/together/decide/", bulk_pages.decide, "review_decide_together")
add_page("review/batches/", bulk_pages.batches, "review_batches")
add_page("review/batches/<uuid:batch_id>/", bulk_pages.batch, "review_batch")
add_page("review/batches/<uuid:batch_id>/undo/", bulk_pages.undo, "review_undo_batch")
add_page("review/run/<uuid:run_id>/", pages.run, "review_run")
add_page("review/run/<uuid:run_id>/undo/", pages.undo_run, "review_undo_run")
add_page("review/run/<uuid:run_id>/report/", report_pages.report, "review_report")
add_page("review/run/<uuid:run_id>/report/<uuid:exchange_id>/", report_pages.exchange, "review_exchange")
add_page("review/<uuid:operation_id>/", pages.operation, "review_operation")
add_page("review/<uuid:operation_id>/change/", pages.change, "review_change")
add_page("review/<uuid:operation_id>/alike/", bulk_pages.alike, "review_alike")
add_page("review/<uuid:operation_id>/edit/", pages.edit, "review_edit")
add_page("review/<uuid:operation_id>/note/", reading_pages.note, "review_note")
add_page("review/<uuid:operation_id>/side/", reading_pages.side, "review_side")
add_page("review/<uuid:operation_id>/versions/", reading_pages.versions, "review_versions")
add_page("librarian/probe/", probe_provider, "librarian_probe")
add_page("librarian/prompts/<uuid:workspace_id>/", prompt_pages.prompts, "librarian_prompts")
add_page("librarian/prompts/<uuid:workspace_id>/download/", prompt_pages.download, "librarian_prompts_download")
add_page("librarian/prompts/<uuid:workspace_id>/built-in/", prompt_pages.use_builtin, "librarian_prompts_builtin")

add_panel(5, "librarian/_next_steps.html", next_steps)
add_panel(10, "review/_waiting.html", waiting)
add_panel(25, "librarian/_decided.html", decided)
add_rule_panel("librarian/_gates.html", trust_pages.gates_panel)
