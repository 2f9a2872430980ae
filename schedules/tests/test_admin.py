"""The operators' pages about schedules: what is seen, what is done, and what is refused."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from polaris.errors import IllegalTransition
from polaris.tests.accounts import signed_in
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.planning import make_plan
from schedules.states import DELETABLE, EDITABLE, ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory

pytestmark = pytest.mark.django_db

LIST = "admin:schedules_callschedule_changelist"
OPERATIONS = ["pause", "resume", "call_now", "cancel"]
S = ScheduleStatus
WORKS_IN = {
    "pause": {S.SCHEDULED, S.PENDING},
    "resume": {S.PAUSED},
    "call_now": {S.SCHEDULED},
    "cancel": {S.CREATED, S.SCHEDULED, S.PENDING, S.RUNNING, S.PAUSED},
    "delete": DELETABLE,
}
BECOMES = {"pause": S.PAUSED, "resume": S.SCHEDULED, "call_now": S.SCHEDULED, "cancel": S.CANCELLED}


def armed(**fields) -> CallSchedule:
    return ActiveScheduleFactory(schedule=CallScheduleFactory(**fields)).schedule


def page(schedule: CallSchedule, name: str = "change") -> str:
    return reverse(f"admin:schedules_callschedule_{name}", args=[quote(schedule.pk)])


def select(client: Client, operation: str, *schedules: CallSchedule, **more: object):
    """Run an action of the list; without `confirm` it only asks."""
    keys = [schedule.pk for schedule in schedules]
    data = {"action": f"{operation}_selected", "_selected_action": keys, **more}
    return client.post(reverse(LIST), data)


def submit(client: Client, operation: str, schedule: CallSchedule):
    """Submit the dialog behind a button of the schedule's page."""
    return client.post(page(schedule, operation), {"_form_submitted": "True"})


def told(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def status_of(schedule: CallSchedule) -> str | None:
    return CallSchedule.objects.filter(pk=schedule.pk).values_list("status", flat=True).first()


def form_data(**fields) -> dict:
    return {
        "phone": "+15005550006",
        "description": "Dentist",
        "notes": "",
        "user_profile_id": "profile_1",
        "agent_instance_id": "agent_1",
        "scheduled_time_0": "2030-03-01",
        "scheduled_time_1": "09:00:00",
        "timezone": "Europe/Berlin",
        "repeats": "",
        "every": "1",
        "month_end": "last",
        "ends_on": "",
        "count": "",
        "gap": "forward",
        **fields,
    }


def shown_form(response) -> dict:
    """What a browser would post if the operator pressed Save at once."""
    form = response.context["adminform"].form
    parts = dict(part for field in form for part in _parts(field, field.value()))
    # A box that is not ticked is not posted.
    return {name: "" if part is None else part for name, part in parts.items() if part != []}


def _parts(field, value):
    if field.name in {"weekdays", "window_days", "retry_on"}:
        return [(field.name, value or [])]
    if field.name != "scheduled_time":
        return [(field.html_name, value)]
    day, clock = field.field.widget.decompress(value)
    return [("scheduled_time_0", day.isoformat()), ("scheduled_time_1", clock.isoformat())]


class TestArmed:
    def test_the_list_shows_why_a_call_waits_and_when_it_is_looked_at(self, desk, time_machine):
        time_machine.move_to(datetime(2026, 5, 1, 10, tzinfo=UTC), tick=False)
        now = timezone.now()
        schedule = armed(scheduled_time=now - timedelta(minutes=2))
        schedule.armed.update(
            next_execution=now + timedelta(seconds=40),
            waits_for="Twilio 20429: Too many requests.",
            asked=3,
            origin=ActiveSchedule.Origin.RETRY,
        )

        html = desk.get(reverse("admin:schedules_activeschedule_changelist")).content.decode()

        assert "Twilio 20429: Too many requests." in html
        assert "refused 3 times" in html
        assert "by its retry policy" in html
        assert "2 min ago" in html
        assert "in 40 s" in html

    def test_the_page_shows_when_it_was_due_and_when_it_is_looked_at(self, desk):
        due = datetime(2026, 11, 24, 8, tzinfo=UTC)
        row = armed(timezone="Europe/Berlin", scheduled_time=due).armed.get()
        row.due_at, row.next_execution = due + timedelta(minutes=5), due + timedelta(minutes=6)
        row.save()

        path = reverse("admin:schedules_activeschedule_change", args=[quote(row.pk)])
        html = desk.get(path).content.decode()

        for clock in ("09:00", "09:05", "09:06"):  # nominal, due, looked at next
            assert f"Tue 24 Nov 2026, {clock} Europe/Berlin" in html


class TestList:
    def test_shows_state_masked_phone_next_call_in_its_zone_and_the_rule_in_words(self, desk):
        schedule = armed(
            description="Dentist",
            phone="+15005550006",
            timezone="Europe/Berlin",
            scheduled_time=datetime(2026, 11, 24, 8, tzinfo=UTC),
            repeat_config={
                "enabled": True,
                "frequency": "weekly",
                "interval": 2,
                "weekdays": ["monday", "friday"],
            },
        )

        html = desk.get(reverse(LIST)).content.decode()

        assert "Dentist" in html
        assert schedule.pk in html
        assert "+1••••••0006" in html
        assert "+15005550006" not in html
        assert "Tue 24 Nov 2026, 09:00 Europe/Berlin" in html
        assert "every 2 weeks on Monday, Friday" in html

    def test_a_moment_at_the_end_of_the_calendar_does_not_break_it(self, desk):
        armed(timezone="Pacific/Kiritimati", scheduled_time=datetime(9999, 12, 31, 23, tzinfo=UTC))

        assert "Fri 31 Dec 9999, 23:00 UTC" in desk.get(reverse(LIST)).content.decode()

    @pytest.mark.parametrize("path", [LIST, "admin:schedules_activeschedule_changelist"])
    def test_asks_the_database_as_often_for_many_rows_as_for_few(
        self, desk, path, django_assert_num_queries
    ):
        for _ in range(5):
            armed()
        desk.get(reverse(path))
        with CaptureQueriesContext(connection) as few:
            desk.get(reverse(path))
        for _ in range(40):
            armed(description="one of many")

        with django_assert_num_queries(len(few)):
            desk.get(reverse(path))

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=%2B15005550006", {"dentist"}),
            ("q=+15005550006", {"dentist"}),  # a plus sign that the browser made a blank
            ("q=%2B1 (500) 555-0006", {"dentist"}),
            ("q=0015005550006", {"dentist"}),
            ("q=(500) 555-0006", {"dentist"}),  # as in the country of TWILIO_FROM_NUMBER
            ("q=%2B44 (0)20 7946 0000", {"survey"}),
            ("q=5550006", set()),  # a part of a number
            ("q=dent", {"dentist"}),
            ("status__exact=paused", {"survey"}),
            ("status__exact=paused&status__exact=scheduled", {"dentist", "survey"}),
            ("repeats=once", {"dentist"}),
            ("repeats=again", {"survey"}),
            ("agent_instance_id__icontains=agent_7", {"survey"}),
            ("created_at_from=2026-01-02&created_at_to=2026-01-02", {"survey"}),
            ("created_at_to=2026-01-01", {"dentist"}),
            ("created_at_to=9999-12-31", {"dentist", "survey"}),
            ("created_at_from=0001-01-01&created_at_to=nonsense", {"dentist", "survey"}),
        ],
    )
    def test_is_searched_and_filtered(self, desk, query, found):
        armed(
            description="dentist",
            phone="+15005550006",
            created_at=datetime(2026, 1, 1, 23, 59, tzinfo=UTC),
        )
        armed(
            description="survey",
            phone="+442079460000",
            status=S.PAUSED,
            agent_instance_id="agent_7",
            repeat_config={"enabled": True, "frequency": "daily", "interval": 1},
            created_at=datetime(2026, 1, 2, 23, 59, tzinfo=UTC),
        )

        response = desk.get(f"{reverse(LIST)}?{query}")

        assert {row.description for row in response.context["cl"].result_list} == found

    def test_is_searched_by_id(self, desk):
        schedule, _ = armed(), armed()

        response = desk.get(f"{reverse(LIST)}?q={schedule.pk}")

        assert [row.pk for row in response.context["cl"].result_list] == [schedule.pk]

    def test_a_description_is_text_and_not_markup(self, desk):
        schedule = armed(description="<script>alert(1)</script>")

        for response in (
            desk.get(reverse(LIST)),
            desk.get(page(schedule)),
            select(desk, "pause", schedule),
            desk.get(reverse("admin:schedules_activeschedule_changelist")),
        ):
            assert "<script>alert(1)" not in response.content.decode()


class TestListActions:
    def test_nothing_happens_before_the_confirmation(self, desk):
        schedule = armed(description="Dentist")

        response = select(desk, "pause", schedule)

        assert "Dentist" in response.content.decode()
        assert "Yes, pause" in response.content.decode()
        assert status_of(schedule) == S.SCHEDULED

    @pytest.mark.parametrize("operation", [*OPERATIONS, "delete"])
    @pytest.mark.parametrize("status", list(ScheduleStatus))
    def test_acts_where_the_state_allows_it_and_says_so_where_not(self, desk, operation, status):
        schedule = armed(description="Dentist", status=status)

        words = told(select(desk, operation, schedule, confirm="yes"))

        if status not in WORKS_IN[operation]:
            assert status_of(schedule) == status
            assert "Passed over 1: Dentist (a" in words
        elif operation == "delete":
            assert status_of(schedule) is None
            assert words == "Deleted 1 call schedule: Dentist."
        else:
            assert status_of(schedule) == BECOMES[operation]
            assert "1 call schedule: Dentist." in words

    def test_tells_what_was_done_and_what_was_passed_over_and_why(self, desk):
        schedules = [armed(description=f"call {n}") for n in range(3)]
        over = armed(description="Dentist", status=S.COMPLETED)

        words = told(select(desk, "pause", *schedules, over, confirm="yes"))

        assert "Paused 3 call schedules: " in words
        assert "Passed over 1: Dentist (a completed schedule cannot be paused)." in words

    def test_ten_are_named_and_the_others_counted_however_many_there_are(self, desk):
        CallSchedule.objects.bulk_create(
            CallScheduleFactory.build(description=f"call {n}") for n in range(60)
        )
        first = CallSchedule.objects.first()

        asked = select(desk, "cancel", first, select_across=1)
        words = told(select(desk, "cancel", first, select_across=1, confirm="yes"))

        assert "60 call schedules" in asked.content.decode()
        assert "… and 50 more" in asked.content.decode()
        assert words.count("call ") == 11  # ten names and "60 call schedules"
        assert words.endswith("and 50 more.")
        assert set(CallSchedule.objects.values_list("status", flat=True)) == {S.CANCELLED}

    def test_a_filter_limits_what_everything_on_all_pages_means(self, desk):
        mine, other = armed(description="dentist"), armed(description="survey")
        data = {
            "action": "cancel_selected",
            "_selected_action": [mine.pk],
            "select_across": 1,
            "confirm": "yes",
        }

        desk.post(f"{reverse(LIST)}?q=dentist", data)

        assert (status_of(mine), status_of(other)) == (S.CANCELLED, S.SCHEDULED)

    def test_each_act_stands_in_the_history_and_a_refused_one_does_not(self, desk, operator):
        done, refused = armed(description="Dentist"), armed(status=S.FAILED)

        select(desk, "cancel", done, refused, confirm="yes")

        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.user_id) == (done.pk, operator.pk)
        assert (entry.action_flag, entry.change_message) == (CHANGE, "Cancel for good")

    def test_a_deleted_schedule_keeps_its_entry_in_the_history(self, desk):
        schedule = armed(description="Dentist")

        select(desk, "delete", schedule, confirm="yes")

        entry = LogEntry.objects.get()
        assert (entry.action_flag, entry.object_repr) == (DELETION, "Dentist")
        assert not ActiveSchedule.objects.exists()


class TestButtons:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("status", list(ScheduleStatus))
    def test_act_where_the_state_allows_it_and_say_so_where_not(self, desk, operation, status):
        schedule = armed(description="Dentist", status=status)

        response = submit(desk, operation, schedule)

        assert response.url == page(schedule)
        if status in WORKS_IN[operation]:
            assert status_of(schedule) == BECOMES[operation]
            assert "1 call schedule: Dentist." in told(response)
        else:
            assert status_of(schedule) == status
            assert "Passed over 1: Dentist (a" in told(response)

    @pytest.mark.parametrize(
        ("status", "offered"),
        [
            (S.SCHEDULED, {"Pause", "Call now", "Cancel for good"}),
            (S.PAUSED, {"Resume", "Cancel for good"}),
            (S.RUNNING, {"Pause", "Cancel for good"}),
            (S.COMPLETED, set()),
            (S.CANCELLED, set()),
        ],
    )
    def test_are_offered_where_they_make_sense(self, desk, status, offered):
        response = desk.get(page(armed(status=status)))

        buttons = {button["title"] for button in response.context["actions_detail"]}
        assert buttons == offered | {"Reveal the number"}

    def test_inside_the_dialog_the_browser_is_sent_on_by_htmx(self, desk):
        schedule = armed()

        response = desk.post(
            page(schedule, "pause"), {"_form_submitted": "True"}, headers={"HX-Request": "true"}
        )

        assert response.headers["HX-Redirect"] == page(schedule)
        assert status_of(schedule) == S.PAUSED

    def test_of_a_schedule_that_is_gone_are_not_found(self, desk):
        schedule = armed()
        CallSchedule.objects.all().delete()

        assert submit(desk, "pause", schedule).status_code == 404


ROLES = {
    "the operator": None,
    "who may change": ("view_callschedule", "change_callschedule"),
    "who may only view": ("view_callschedule",),
    "who may do nothing": (),
}


class TestRoles:
    @pytest.mark.parametrize("role", ROLES)
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize("method", ["get", "head", "put", "post"])
    def test_without_a_submitted_dialog_nothing_happens(self, desk, role, operation, method):
        client = desk if ROLES[role] is None else signed_in(*ROLES[role])
        schedule = armed(status=S.PAUSED if operation == "resume" else S.SCHEDULED)

        response = getattr(client, method)(page(schedule, operation))

        allowed = role in {"the operator", "who may change"}
        assert response.status_code == (200 if allowed else 403)
        assert status_of(schedule) == schedule.status
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("role", ["who may only view", "who may do nothing"])
    @pytest.mark.parametrize("operation", [*OPERATIONS, "delete"])
    def test_who_may_not_act_is_refused_in_the_list(self, role, operation):
        client = signed_in(*ROLES[role])
        schedule = armed()

        response = select(client, operation, schedule, confirm="yes")

        assert response.status_code == 403
        assert status_of(schedule) == S.SCHEDULED

    @pytest.mark.parametrize("role", ["who may only view", "who may do nothing"])
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_who_may_not_act_is_refused_on_the_page(self, role, operation):
        client = signed_in(*ROLES[role])
        schedule = armed()

        assert submit(client, operation, schedule).status_code == 403
        assert status_of(schedule) == S.SCHEDULED

    def test_who_may_change_may_act_but_not_delete(self):
        client = signed_in("view_callschedule", "change_callschedule")
        schedule = armed()

        assert select(client, "delete", schedule, confirm="yes").status_code == 403
        assert submit(client, "pause", schedule).status_code == 302
        assert status_of(schedule) == S.PAUSED

    def test_who_may_delete_needs_no_right_over_what_is_armed(self):
        client = signed_in("view_callschedule", "delete_callschedule")
        schedule = armed()

        client.post(page(schedule, "delete"), {"post": "yes"})

        assert not CallSchedule.objects.exists()

    def test_who_may_only_view_sees_a_masked_number_and_no_button(self):
        client = signed_in("view_callschedule")
        schedule = armed(phone="+15005550006")

        response = client.get(page(schedule))

        assert "+1••••••0006" in response.content.decode()
        assert ">+15005550006<" not in response.content.decode()
        assert response.context["actions_detail"] == []
        assert response.context["show_save"] is False

    def test_a_stranger_is_asked_to_sign_in(self, client):
        schedule = armed()

        response = submit(client, "pause", schedule)

        assert response.url.startswith(reverse("admin:login"))
        assert status_of(schedule) == S.SCHEDULED

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_post_without_the_csrf_token_is_refused(self, operator, operation):
        client = Client(enforce_csrf_checks=True)
        client.force_login(operator)
        schedule = armed()

        assert submit(client, operation, schedule).status_code == 403
        assert select(client, operation, schedule, confirm="yes").status_code == 403
        assert status_of(schedule) == S.SCHEDULED


class TestForm:
    def test_creates_a_schedule_and_arms_its_first_call(self, desk, operator):
        desk.post(reverse("admin:schedules_callschedule_add"), form_data())

        schedule = CallSchedule.objects.get()
        assert schedule.created_by == f"user_{operator.pk}"
        assert (schedule.description, schedule.status) == ("Dentist", S.SCHEDULED)
        assert schedule.scheduled_time == datetime(2030, 3, 1, 8, tzinfo=UTC)
        assert schedule.timezone == "Europe/Berlin"
        assert schedule.repeat_config is None
        assert ActiveSchedule.objects.get().next_execution == schedule.scheduled_time
        assert LogEntry.objects.get().object_id == schedule.pk

    @pytest.mark.parametrize(
        ("fields", "config"),
        [
            ({"repeats": "daily"}, {"frequency": "daily", "interval": 1}),
            (
                {"repeats": "weekly", "every": "2", "weekdays": ["monday", "friday"]},
                {"frequency": "weekly", "interval": 2, "weekdays": ["monday", "friday"]},
            ),
            (
                {"repeats": "monthly", "month_end": "skip", "count": "3", "gap": "skip"},
                {
                    "frequency": "monthly",
                    "interval": 1,
                    "count": 3,
                    "gap": "skip",
                    "month_end": "skip",
                },
            ),
            (
                {"repeats": "hourly", "ends_on": "2030-03-02", "weekdays": ["monday"]},
                {"frequency": "hourly", "interval": 1, "end_date": "2030-03-02"},
            ),
            (
                {"repeats": "cron", "cron": "0 9 * * mon-fri", "every": "2", "count": "3"},
                {"cron": "0 9 * * MON-FRI", "count": 3},
            ),
            (
                {"repeats": "rrule", "rrule": "freq=monthly;byday=-1fr", "count": "3", "cron": "x"},
                {"rrule": "FREQ=MONTHLY;BYDAY=-1FR"},
            ),
            (
                {
                    "repeats": "daily",
                    "skip_holidays": "de-by",
                    "exdates": "2030-03-05, 2030-03-06\r\n2030-03-08T09:00",
                },
                {
                    "frequency": "daily",
                    "interval": 1,
                    "exdates": ["2030-03-05", "2030-03-06", "2030-03-08T09:00:00"],
                    "skip_holidays": "DE-BY",
                },
            ),
        ],
    )
    def test_builds_the_rule_from_its_boxes(self, desk, fields, config):
        desk.post(reverse("admin:schedules_callschedule_add"), form_data(**fields))

        assert CallSchedule.objects.get().repeat_config == {"enabled": True} | config

    @pytest.mark.parametrize(
        ("fields", "field", "words"),
        [
            ({"phone": "555"}, "phone", "E.164"),
            ({"phone": ""}, "phone", "required"),
            ({"scheduled_time_0": "2020-01-01"}, "scheduled_time", "in the past"),
            ({"scheduled_time_0": "tomorrow"}, "scheduled_time", "valid date"),
            ({"scheduled_time_1": ""}, "scheduled_time", "required"),
            ({"scheduled_time_1": "nine"}, "scheduled_time", "valid time"),
            ({"timezone": "Mars/Olympus"}, "timezone", "valid choice"),
            ({"repeats": "daily", "every": "1001"}, "every", "less than or equal to 1000"),
            ({"repeats": "daily", "ends_on": "soon"}, "ends_on", "ISO 8601"),
            ({"repeats": "daily", "ends_on": "2029-01-01"}, "ends_on", "before the first call"),
            ({"repeats": "fortnightly"}, "repeats", "valid choice"),
            ({"repeats": "cron"}, "cron", "five fields"),
            ({"repeats": "cron", "cron": "0 25 * * *"}, "cron", "The hour 25 cannot be read"),
            ({"repeats": "rrule"}, "rrule", "Must name its FREQ"),
            ({"repeats": "rrule", "rrule": "FREQ=SECONDLY"}, "rrule", "once a minute"),
            ({"repeats": "daily", "skip_holidays": "XX"}, "skip_holidays", "not known"),
            ({"repeats": "daily", "exdates": "soon"}, "exdates", "ISO 8601"),
        ],
    )
    def test_says_at_the_box_what_is_wrong_and_writes_nothing(self, desk, fields, field, words):
        response = desk.post(reverse("admin:schedules_callschedule_add"), form_data(**fields))

        assert words in str(response.context["adminform"].form.errors[field])
        assert not CallSchedule.objects.exists()

    def test_shows_and_takes_the_wall_time_of_the_schedules_own_zone(self, desk):
        schedule = armed(
            timezone="Asia/Kathmandu", scheduled_time=datetime(2030, 1, 1, 3, 15, tzinfo=UTC)
        )

        shown = shown_form(desk.get(page(schedule)))
        assert (shown["scheduled_time_0"], shown["scheduled_time_1"]) == ("2030-01-01", "09:00:00")
        desk.post(page(schedule), shown | {"scheduled_time_1": "10:00:00"})

        schedule.refresh_from_db()
        assert schedule.scheduled_time == datetime(2030, 1, 1, 4, 15, tzinfo=UTC)
        assert ActiveSchedule.objects.get().next_execution == schedule.scheduled_time

    @pytest.mark.parametrize(
        ("moment", "config"),
        [
            # A fraction that the boxes do not show, and the second of two equal wall times.
            (datetime(2030, 1, 1, 3, 15, 20, 500_000, tzinfo=UTC), None),
            (datetime(2030, 10, 27, 1, 30, tzinfo=UTC), None),
            (
                datetime(2030, 1, 1, tzinfo=UTC),
                {"enabled": False, "frequency": "daily", "interval": 1},
            ),
            (
                datetime(2030, 1, 1, tzinfo=UTC),
                {
                    "enabled": True,
                    "frequency": "yearly",
                    "interval": 3,
                    "end_date": "2050-01-01T10:00:00Z",
                    "gap": "skip",
                    "month_end": "skip",
                },
            ),
            (
                datetime(2030, 1, 1, tzinfo=UTC),
                {
                    "enabled": True,
                    "cron": "0 9 * * MON-FRI",
                    "exdates": ["2030-03-05", "2030-03-06"],
                    "skip_holidays": "DE",
                },
            ),
            (
                datetime(2030, 1, 1, tzinfo=UTC),
                {"enabled": True, "rrule": "FREQ=DAILY;COUNT=9", "gap": "skip"},
            ),
        ],
    )
    def test_saved_as_it_is_it_changes_nothing_of_when_it_calls(self, desk, moment, config):
        schedule = armed(timezone="Europe/Berlin", scheduled_time=moment, repeat_config=config)

        desk.post(page(schedule), shown_form(desk.get(page(schedule))) | {"notes": "new"})

        schedule.refresh_from_db()
        assert schedule.notes == "new"
        assert (schedule.scheduled_time, schedule.repeat_config) == (moment, config)

    def test_explains_a_crontab(self, desk):
        schedule = armed(repeat_config={"enabled": True, "cron": "0 9 * * MON-FRI"})

        assert "At 09:00 on Monday through Friday." in desk.get(page(schedule)).content.decode()
        shown = desk.get(reverse(LIST)).content.decode()
        assert "0 9 * * MON-FRI: at 09:00 on Monday through Friday" in shown

    def test_shows_and_keeps_the_wall_time_asked_for_where_the_clock_skips_it(self, desk):
        asked = {"scheduled_time_0": "2030-03-31", "scheduled_time_1": "02:30:00"}
        desk.post(reverse("admin:schedules_callschedule_add"), form_data(repeats="daily", **asked))
        schedule = CallSchedule.objects.get()
        assert schedule.scheduled_time == datetime(2030, 3, 31, 1, 30, tzinfo=UTC)

        shown = shown_form(desk.get(page(schedule)))
        desk.post(page(schedule), shown | {"every": "2"})

        assert {name: shown[name] for name in asked} == asked
        schedule.refresh_from_db()
        assert (schedule.wall_time, schedule.repeat_config["interval"]) == (
            "2030-03-31T02:30:00",
            2,
        )

    def test_a_recurring_schedule_that_has_begun_can_be_edited(self, desk):
        begun = timezone.now().replace(microsecond=0) - timedelta(days=3)
        schedule = armed(
            scheduled_time=begun,
            repeat_config={"enabled": True, "frequency": "daily", "interval": 1},
        )

        desk.post(page(schedule), shown_form(desk.get(page(schedule))) | {"every": "2"})

        schedule.refresh_from_db()
        assert schedule.repeat_config["interval"] == 2
        assert schedule.scheduled_time == begun
        assert ActiveSchedule.objects.get().next_execution == begun + timedelta(days=4)

    def test_shows_the_number_masked_and_keeps_it_where_it_is_left_blank(self, desk):
        schedule = armed(phone="+442079460000")
        response = desk.get(page(schedule))

        desk.post(page(schedule), shown_form(response) | {"description": "after"})

        assert "+4•••••••0000; leave it blank" in response.content.decode()
        assert "442079460000" not in response.content.decode()
        assert CallSchedule.objects.of_number("+442079460000").get().description == "after"

    def test_takes_another_number(self, desk):
        schedule = armed(phone="+442079460000")

        desk.post(page(schedule), shown_form(desk.get(page(schedule))) | {"phone": "+15005550009"})

        schedule.refresh_from_db()
        assert schedule.phone == "+15005550009"
        assert CallSchedule.objects.of_number("+15005550009").exists()

    @pytest.mark.parametrize("status", sorted(set(ScheduleStatus) - EDITABLE))
    def test_refuses_what_is_being_called_or_over_and_writes_nothing(self, desk, status):
        schedule = armed(description="before")
        data = shown_form(desk.get(page(schedule)))
        CallSchedule.objects.filter(pk=schedule.pk).update(status=status)

        response = desk.post(page(schedule), data | {"description": "after"})

        errors = response.context["adminform"].form.non_field_errors()
        assert "cannot be changed" in errors[0]
        schedule.refresh_from_db()
        assert schedule.description == "before"
        assert not LogEntry.objects.exists()

    def test_what_somebody_else_has_changed_meanwhile_is_not_overwritten(self, desk):
        schedule = armed(description="before")
        mine = shown_form(desk.get(page(schedule)))
        desk.post(page(schedule), mine | {"description": "theirs"})

        response = desk.post(page(schedule), mine | {"description": "mine"})

        errors = response.context["adminform"].form.non_field_errors()
        assert "Somebody else has changed it meanwhile" in errors[0]
        schedule.refresh_from_db()
        assert schedule.description == "theirs"

    def test_a_refusal_in_the_last_moment_is_shown_all_the_same(self, desk):
        schedule = armed()
        data = shown_form(desk.get(page(schedule)))

        with patch.object(services, "change_schedule", side_effect=IllegalTransition("Too late.")):
            response = desk.post(page(schedule), data | {"description": "after"})

        assert response.context["adminform"].form.non_field_errors() == ["Too late."]
        assert not LogEntry.objects.exists()

    @pytest.mark.parametrize("status", sorted(set(ScheduleStatus) - EDITABLE))
    def test_what_cannot_be_edited_is_shown_to_read(self, desk, status):
        response = desk.get(page(armed(status=status, description="Dentist")))

        assert "Dentist" in response.content.decode()
        assert response.context["show_save"] is False
        assert 'name="phone"' not in response.content.decode()

    def test_a_new_schedule_has_neither_state_nor_calls_yet(self, desk):
        response = desk.get(reverse("admin:schedules_callschedule_add"))

        assert response.context["datasets"] == []


class TestDeleting:
    def test_one_schedule_through_its_page(self, desk):
        schedule = armed(description="Dentist")

        asked = desk.get(page(schedule, "delete"))
        desk.post(page(schedule, "delete"), {"post": "yes"})

        assert "Dentist" in asked.content.decode()
        assert not CallSchedule.objects.exists()
        assert not ActiveSchedule.objects.exists()
        assert LogEntry.objects.get().action_flag == DELETION

    @pytest.mark.parametrize("status", sorted(set(ScheduleStatus) - DELETABLE))
    def test_is_not_offered_while_a_call_is_placed_and_refused_with_words(self, desk, status):
        schedule = armed(status=status)

        assert desk.get(page(schedule)).context["show_delete_link"] is False
        response = desk.post(page(schedule, "delete"), {"post": "yes"})

        assert response.url == page(schedule)
        assert told(response) == "A schedule whose call is being placed cannot be deleted."
        assert status_of(schedule) == status
        assert not LogEntry.objects.exists()


class TestWhatIsArmed:
    def test_stands_in_order_with_its_claim_in_words(self, desk, time_machine):
        time_machine.move_to(datetime(2026, 5, 1, 10, tzinfo=UTC), tick=False)
        later = armed(description="later", scheduled_time=timezone.now() + timedelta(hours=2))
        sooner = armed(description="sooner", scheduled_time=timezone.now() + timedelta(hours=1))
        paused = armed(description="paused")
        ActiveSchedule.objects.filter(schedule=paused).update(next_execution=None)
        ActiveSchedule.objects.filter(schedule=sooner).update(
            runner_id="runner_x", leased_until=timezone.now() + timedelta(seconds=5)
        )

        response = desk.get(reverse("admin:schedules_activeschedule_changelist"))

        rows = [row.schedule_id for row in response.context["cl"].result_list]
        assert rows == [sooner.pk, later.pk, paused.pk]
        assert "claimed by runner_x until 10:00:05" in response.content.decode()
        assert "waits for a resume" in response.content.decode()

    @pytest.mark.parametrize("model", ["activeschedule", "runner"])
    def test_and_the_runners_are_only_to_be_read(self, desk, model):
        armed()
        Runner.objects.create(host="calls-1", process_id=1)
        row = {"activeschedule": ActiveSchedule, "runner": Runner}[model].objects.get()
        path = reverse(f"admin:schedules_{model}_change", args=[quote(row.pk)])

        assert desk.get(path).context["show_save"] is False
        assert desk.post(path, {}).status_code == 403
        assert desk.get(reverse(f"admin:schedules_{model}_add")).status_code == 403
        assert desk.post(path.replace("change", "delete"), {"post": "yes"}).status_code == 403

    def test_runners_are_alive_silent_or_stopped(self, desk):
        now = timezone.now()
        Runner.objects.create(host="calls-1", process_id=1)
        Runner.objects.create(host="calls-2", process_id=2, last_seen_at=now - timedelta(hours=1))
        Runner.objects.create(host="calls-3", process_id=3, stopped_at=now)

        html = desk.get(reverse("admin:schedules_runner_changelist")).content.decode()

        assert [html.count(f"\n{word}\n") for word in ("alive", "silent", "stopped")] == [1, 1, 1]


class TestHousekeeping:
    def test_jobs_and_their_runs_are_only_to_be_read(self, desk):
        job = DjangoJob.objects.create(id="recover", job_state=b"")
        DjangoJobExecution.objects.create(
            job=job, status=DjangoJobExecution.ERROR, run_time=timezone.now(), duration=1
        )

        for model in ("djangojob", "djangojobexecution"):
            path = reverse(f"admin:django_apscheduler_{model}_changelist")
            assert "recover" in desk.get(path).content.decode()
            assert desk.get(reverse(f"admin:django_apscheduler_{model}_add")).status_code == 403
            assert desk.get(path).context["action_form"] is None


def test_the_plan_of_a_form_is_the_plan_of_the_api(desk):
    desk.post(reverse("admin:schedules_callschedule_add"), form_data(repeats="daily"))
    plan = make_plan(
        phone="+15005550006",
        scheduled_time="2030-03-01T09:00:00",
        timezone="Europe/Berlin",
        repeat_config={"frequency": "daily"},
        now=timezone.now(),
    )

    schedule = CallSchedule.objects.get()
    assert schedule.repeat_config == plan.repeat_config
    assert schedule.scheduled_time == plan.scheduled_time
