"""The operators' page about the gate: stopping all dialling, and letting it go on."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from polaris.tests.accounts import signed_in
from schedules import gate
from schedules.models import Gate
from schedules.tests.factories import ActiveScheduleFactory

pytestmark = pytest.mark.django_db

PAGE = "admin:schedules_gate_change"
VIEWER = ("view_gate",)
OPERATOR = ("view_gate", "change_gate")


def page(name: str = "change") -> str:
    return reverse(f"admin:schedules_gate_{name}", args=[Gate.CALLS])


def submit(client: Client, name: str, **fields: str):
    return client.post(page(name), {"_form_submitted": "True"} | fields)


def told(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def buttons(client: Client) -> list[str]:
    return [button["title"] for button in client.get(page()).context["actions_detail"]]


class TestStop:
    def test_closes_the_gate_in_the_operators_name(self, desk):
        response = submit(desk, "stop", reason="Wrong agent")

        closed = gate.current()
        assert (closed.reason, closed.closed_by) == ("Wrong agent", "operator")
        assert closed.closed_since
        assert closed.probe_at is None
        assert response.url == page()
        assert told(response) == "Nothing is dialled any more."
        assert LogEntry.objects.get().change_message == "Stop all dialling: Wrong agent"

    def test_needs_no_reason_in_a_hurry(self, desk):
        submit(desk, "stop")

        assert gate.current().reason == "No reason was given."

    def test_takes_a_halt_of_the_carriers_over(self, desk):
        gate.close("Twilio 20003: Authenticate")

        submit(desk, "stop", reason="We look at it.")

        assert (gate.current().closed_by, gate.current().probe_at) == ("operator", None)

    def test_an_endless_reason_is_refused_in_the_dialog(self, desk):
        response = submit(desk, "stop", reason="x" * 201)

        assert "at most 200 characters" in response.content.decode()
        assert gate.current().closed_since is None

    def test_pressed_on_the_dashboard_it_leads_back_there(self, desk):
        dashboard = "https://polaris.example" + reverse("admin:index")
        response = desk.post(
            page("stop"),
            {"_form_submitted": "True"},
            headers={"HX-Request": "true", "HX-Current-URL": dashboard},
        )

        assert response.headers["HX-Redirect"] == reverse("admin:index")


class TestDialAgain:
    @pytest.mark.parametrize("by", ["ann", ""])
    def test_opens_the_gate_whoever_has_closed_it(self, desk, by):
        gate.close("Why", by=by)

        response = submit(desk, "dial_again")

        assert gate.current().closed_since is None
        assert told(response) == "Calls are dialled again."
        assert LogEntry.objects.get().change_message == "Dial again"

    def test_says_so_where_it_was_open(self, desk):
        assert told(submit(desk, "dial_again")) == "Dialling had not been stopped."
        assert not LogEntry.objects.exists()


class TestPage:
    def test_the_list_is_the_page_of_the_one_gate(self, desk):
        response = desk.get(reverse("admin:schedules_gate_changelist"))

        assert response.url == page()
        assert desk.get(page()).status_code == 200
        assert not Gate.objects.exists()

    def test_tells_of_a_halt_and_of_what_waits(self, desk, time_machine):
        time_machine.move_to(datetime(2026, 5, 1, 10, tzinfo=UTC), tick=False)
        due = timezone.now() - timedelta(minutes=2)
        ActiveScheduleFactory(schedule__scheduled_time=due)
        gate.close("Twilio 20003: Authenticate")
        Gate.objects.update(probes=3)

        html = desk.get(page()).content.decode()

        for words in (
            "Twilio 20003: Authenticate",
            "by the carrier&#x27;s refusal, Fri 1 May 2026, 10:00 UTC",
            "One call is tried in 30 s. 3 tried so far.",
            "1 call is due and not dialled, by 2 min at most.",
        ):
            assert words in html

    def test_offers_what_makes_sense(self, desk):
        offered = [buttons(desk)]
        gate.close("Twilio 20003: Authenticate")
        offered.append(buttons(desk))
        gate.close("We look at it.", by="ann")
        offered.append(buttons(desk))

        assert offered == [
            ["Stop all dialling"],
            ["Stop all dialling", "Dial again"],
            ["Dial again"],
        ]

    def test_there_is_no_other_gate(self, desk):
        response = desk.get(reverse(PAGE, args=["another"]))

        assert response.status_code == 302
        assert "doesn\u2019t exist" in told(response)

    def test_cannot_be_edited(self, desk):
        assert desk.post(page(), {"reason": "x"}).status_code == 403


class TestRoles:
    @pytest.mark.parametrize("name", ["stop", "dial_again"])
    @pytest.mark.parametrize("permissions", [VIEWER, ("change_callschedule",), ()])
    def test_who_may_not_change_the_gate_is_refused(self, name, permissions):
        gate.close("Why")
        client = signed_in(*permissions)

        assert submit(client, name).status_code == 403
        assert client.get(page(name)).status_code == 403
        assert (gate.current().reason, gate.current().closed_by) == ("Why", "")

    def test_who_may_view_it_sees_no_button(self):
        assert buttons(signed_in(*VIEWER)) == []

    def test_who_may_change_it_may_stop_and_go_on(self):
        client = signed_in(*OPERATOR)

        submit(client, "stop")
        was_closed = gate.current().closed_since is not None
        submit(client, "dial_again")

        assert was_closed
        assert gate.current().closed_since is None

    def test_who_may_see_nothing_is_refused_the_page(self):
        client = signed_in()

        assert client.get(reverse("admin:schedules_gate_changelist")).status_code == 403
        assert client.get(page()).status_code == 403

    @pytest.mark.parametrize("name", ["stop", "dial_again"])
    @pytest.mark.parametrize("method", ["get", "head", "put", "post"])
    def test_without_a_submitted_dialog_nothing_happens(self, desk, name, method):
        gate.close("Why")

        response = getattr(desk, method)(page(name))

        assert response.status_code == 200
        assert (gate.current().reason, gate.current().closed_by) == ("Why", "")

    @pytest.mark.parametrize("name", ["stop", "dial_again"])
    def test_a_post_without_the_csrf_token_is_refused(self, operator, name):
        gate.close("Why")
        client = Client(enforce_csrf_checks=True)
        client.force_login(operator)

        assert submit(client, name).status_code == 403
        assert gate.current().closed_by == ""
