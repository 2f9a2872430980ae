"""What becomes of live calls when their schedule is paused or cancelled."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from polaris.access import owner_id
from schedules.tests.factories import ActiveScheduleFactory
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

DAILY = {"enabled": True, "frequency": "daily", "interval": 1}
LIST = "admin:schedules_callschedule_changelist"


@pytest.fixture
def talking(client_user) -> CallLog:
    """A call of a series of the client's that is being talked."""
    armed = ActiveScheduleFactory(
        schedule__created_by=owner_id(client_user), schedule__repeat_config=DAILY
    )
    return CallLogFactory(schedule=armed.schedule, status="in_progress")


def is_looked_at_now(log: CallLog) -> bool:
    log.refresh_from_db()
    return log.next_check_at is not None and log.next_check_at <= timezone.now()


class TestByTheApi:
    @pytest.mark.parametrize("action", ["pause", "cancel"])
    @pytest.mark.parametrize(
        ("body", "stop"),
        [
            (b"", "cancel"),
            (b"{}", "cancel"),
            (b'{"hang_up": false}', "cancel"),
            (b'{"hang_up": true}', "hang_up"),
        ],
        ids=ascii,
    )
    def test_it_is_cancelled_unless_answered_or_hung_up_on_request(
        self, api, talking, action, body, stop
    ):
        path = f"/schedule/{talking.schedule_id}/{action}"

        answer = api.generic("POST", path, body, "application/json")

        assert answer.status_code == 200
        assert is_looked_at_now(talking)
        assert talking.stop == stop

    @pytest.mark.parametrize("body", [{"hang_up": "true"}, {"hangup": True}])
    def test_a_body_that_is_refused_stops_nothing(self, api, talking, body):
        path = f"/schedule/{talking.schedule_id}/cancel"

        assert api.post(path, body, format="json").status_code == 400

        assert not is_looked_at_now(talking)


class TestInTheAdmin:
    @pytest.mark.parametrize("action", ["pause", "cancel"])
    @pytest.mark.parametrize(("ticked", "stop"), [({}, "cancel"), ({"hang_up": "on"}, "hang_up")])
    def test_the_dialog_asks_whether_to_hang_up(self, desk, talking, action, ticked, stop):
        path = reverse(
            f"admin:schedules_callschedule_{action}", args=[quote(talking.schedule_id or "")]
        )

        asked = desk.get(path).content.decode()
        desk.post(path, {"_form_submitted": "True"} | ticked)

        assert 'name="hang_up"' in asked
        assert is_looked_at_now(talking)
        assert talking.stop == stop

    @pytest.mark.parametrize("action", ["pause", "cancel"])
    @pytest.mark.parametrize(("ticked", "stop"), [({}, "cancel"), ({"hang_up": "on"}, "hang_up")])
    def test_the_list_asks_whether_to_hang_up(self, desk, talking, action, ticked, stop):
        data = {"action": f"{action}_selected", "_selected_action": [talking.schedule_id]}

        asked = desk.post(reverse(LIST), data).content.decode()
        untouched = not is_looked_at_now(talking)
        desk.post(reverse(LIST), data | {"confirm": "yes"} | ticked)

        assert 'name="hang_up"' in asked
        assert untouched
        assert is_looked_at_now(talking)
        assert talking.stop == stop

    def test_the_history_tells_that_calls_were_hung_up(self, desk, talking):
        data = {"action": "cancel_selected", "_selected_action": [talking.schedule_id]}

        desk.post(reverse(LIST), data | {"confirm": "yes", "hang_up": "on"})

        assert LogEntry.objects.get().change_message == "Cancel for good; Hang up"
