"""Answers from before there were models: each was answered when it was stored, and by the offline librarian."""

from django.db import migrations

EXCHANGES = "UPDATE librarian_exchange SET answered_at = created_at WHERE answered_at IS NULL"
OPERATIONS = """
    UPDATE librarian_operation SET model = report.model FROM librarian_runreport AS report
    WHERE report.run_id = librarian_operation.run_id AND librarian_operation.model = ''"""
REPORTS = """
    UPDATE librarian_runreport AS report SET requests = asked.requests, latency_ms = asked.latency_ms,
        answers = jsonb_build_object(report.model, asked.requests)
    FROM (SELECT run_id, count(*) AS requests, sum(latency_ms) AS latency_ms FROM librarian_exchange GROUP BY run_id)
        AS asked
    WHERE asked.run_id = report.run_id AND report.requests = 0"""


class Migration(migrations.Migration):
    dependencies = [("librarian", "0002_language_models")]

    operations = [migrations.RunSQL(statement, migrations.RunSQL.noop) for statement in (EXCHANGES, OPERATIONS, REPORTS)]
