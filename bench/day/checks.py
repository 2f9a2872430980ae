"""What must be so after the day, asked of the database by SQL of its own."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

_QUERIES = {
    "an attempt that is written twice": """
        SELECT count(*) FROM (SELECT 1 FROM day_calls
        GROUP BY schedule_id, occurrence, attempt HAVING count(*) > 1) AS twice""",
    # Each pattern has so many schedules, and each of those must have had each occurrence once.
    "an occurrence that is missing, or one too many": """
        WITH owed AS (
            SELECT each.pattern, each.occurrence, s.schedules AS count FROM day_expected AS each
            JOIN (SELECT pattern, count(*) AS schedules FROM (SELECT
                  substr(user_profile_id, 9)::int AS pattern FROM call_schedules) AS one
                  GROUP BY pattern) AS s ON s.pattern = each.pattern),
        had AS (
            SELECT pattern, occurrence, count(DISTINCT schedule_id) AS count FROM day_calls
            WHERE occurrence < %(end)s GROUP BY pattern, occurrence)
        SELECT count(*) FROM owed FULL JOIN had USING (pattern, occurrence)
        WHERE owed.count IS DISTINCT FROM had.count""",
    "a call before its time": """
        SELECT count(*) FROM day_calls WHERE dialled_at < due_at OR due_at < occurrence""",
    "a call outside its window": """
        SELECT count(*) FROM day_calls AS call JOIN day_patterns AS p ON p.id = call.pattern,
        LATERAL unnest(p.zones) AS its_zone
        WHERE dialled_at IS NOT NULL AND p.calling_window IS NOT NULL AND NOT (
            (dialled_at AT TIME ZONE its_zone)::time >= (p.calling_window ->> 'start')::time
            AND (dialled_at AT TIME ZONE its_zone)::time < (p.calling_window ->> 'end')::time
            AND (p.calling_window -> 'days' IS NULL OR p.calling_window -> 'days' ?
                 trim(to_char(dialled_at AT TIME ZONE its_zone, 'day'))))""",
    "two calls closer to each other than the pace": """
        SELECT count(*) FROM (SELECT dialled_at - lag(dialled_at) OVER (ORDER BY dialled_at)
        AS gap FROM day_calls WHERE dialled_at IS NOT NULL) AS gaps WHERE gap < %(spacing)s""",
    "an attempt after one that was not to be repeated": """
        SELECT count(*) FROM day_calls AS later JOIN day_calls AS earlier ON
        earlier.schedule_id = later.schedule_id AND earlier.occurrence = later.occurrence AND
        earlier.attempt = later.attempt - 1 WHERE earlier.outcome = 'completed'
        OR later.due_at <= earlier.dialled_at""",
    "a first attempt that is missing below a later one": """
        SELECT count(*) FROM day_calls AS later WHERE attempt > 1 AND NOT EXISTS (
            SELECT 1 FROM day_calls AS earlier WHERE earlier.schedule_id = later.schedule_id
            AND earlier.occurrence = later.occurrence AND earlier.attempt = later.attempt - 1)""",
    "something of the day that is still armed or held": """
        SELECT count(*) FROM active_schedules WHERE next_execution < %(end)s OR lease <> ''""",
}


def violations(*, end: datetime) -> dict[str, int]:
    """How often each of what must never be is found; all must be 0."""
    spacing = timedelta(seconds=1 / settings.CALLS_PER_SECOND) - timedelta(microseconds=1)
    found = {}
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX ON day_calls (schedule_id, occurrence, attempt)")
        cursor.execute("ANALYZE day_calls")
        for what, query in _QUERIES.items():
            # psycopg reads a lone question mark as it is.
            cursor.execute(query, {"end": end, "spacing": spacing})
            found[what] = cursor.fetchone()[0]
    return found


def outcomes() -> dict[str, Any]:
    """How many attempts ended how."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT outcome, count(*) FROM day_calls GROUP BY outcome ORDER BY 2 DESC")
        return dict(cursor.fetchall())
