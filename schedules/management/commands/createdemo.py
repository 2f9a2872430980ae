"""`manage.py createdemo`: a demo operator and, in an empty database, a handful of schedules."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.utils import timezone

from polaris.access import owner_id
from schedules import services
from schedules.models import CallSchedule
from schedules.planning import make_plan

NAME = "demo"
PASSWORD = "demo"  # noqa: S105 (printed at every start; docs say to remove the account)


@dataclass(frozen=True, slots=True)
class _Demo:
    """A schedule of the demo; `seconds` from now to its first call."""

    description: str
    phone: str
    seconds: int
    repeat_config: dict[str, Any] | None = None
    timezone: str = "UTC"
    will: str = ""


_DEMOS = [
    _Demo("Appointment reminder", "+14155550100", 10, will="is answered"),
    _Demo("Delivery window", "+14155550101", 20, will="meets a busy line"),
    _Demo("Prescription ready", "+14155550102", 30, will="is not answered"),
    _Demo("Invoice follow-up", "+14155550103", 40, will="fails"),
    _Demo("Wrong number", "+14155550111", 45, will="is refused by the carrier"),
    _Demo(
        "Hourly check-in",
        "+14155550107",
        50,
        {"frequency": "hourly", "count": 24},
        will="is answered, then repeats every hour",
    ),
    _Demo(
        "Morning call",
        "+14155550120",
        24 * 3600,
        {"frequency": "weekly", "weekdays": ["monday", "wednesday", "friday"]},
        "America/New_York",
    ),
    _Demo("Rent is due", "+14155550130", 7 * 24 * 3600, {"frequency": "monthly"}, "Europe/Berlin"),
    _Demo("Yearly review", "+14155550140", 30 * 24 * 3600, {"frequency": "yearly"}, "Asia/Tokyo"),
]


class Command(BaseCommand):
    help = "Creates the demo operator and, where there is no schedule yet, demo schedules."

    def handle(self, *args: Any, **options: Any) -> None:
        """Say who may sign in and what will happen next."""
        operator = _operator()
        self.stdout.write(f"Sign in as {NAME} with the password {PASSWORD}.")
        if CallSchedule.objects.exists():
            return
        now = timezone.now().replace(microsecond=0)
        self.stdout.write("What happens next:")
        for demo in _DEMOS:
            _create(demo, now, owner_id(operator))
            if demo.will:
                moment = timezone.localtime(now + timedelta(seconds=demo.seconds))
                self.stdout.write(f"  {moment:%H:%M:%S}  {demo.description!r} {demo.will}")


def _operator() -> Any:
    users = get_user_model().objects
    known = users.filter(username=NAME).first()
    return known or users.create_superuser(NAME, password=PASSWORD)


def _create(demo: _Demo, now: datetime, created_by: str) -> None:
    plan = make_plan(
        phone=demo.phone,
        scheduled_time=now + timedelta(seconds=demo.seconds),
        timezone=demo.timezone,
        repeat_config=demo.repeat_config,
        now=now,
    )
    services.create_schedule(
        plan=plan,
        created_by=created_by,
        description=demo.description,
        user_profile_id="profile_demo",
        agent_instance_id="agent_demo",
    )
