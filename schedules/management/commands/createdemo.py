"""`manage.py createdemo`: a demo operator and, in an empty database, a handful of schedules."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from polaris.access import owner_id
from polaris.database import atomic
from polaris.demo import NAME, PASSWORD, refuse_demo_operator
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule
from schedules.planning import make_plan

_TOLD = 10


@dataclass(frozen=True, slots=True)
class _Demo:
    """A schedule of the demo: `seconds` from now, or at nine on the clock of `timezone`, `days`
    from today."""

    description: str
    phone: str
    seconds: int = 0
    will: str = ""
    days: int = 0
    timezone: str = "UTC"
    repeat_config: dict[str, Any] | None = None
    policies: dict[str, Any] = field(default_factory=dict)


_RETRIES = {"on": ["busy", "no_answer"], "attempts": 3, "delays": [15, 30]}
_OFFICE_HOURS = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "18:00"}

_DEMOS = [
    _Demo("Appointment reminder", "+14155550100", 10, "is answered"),
    _Demo(
        "Delivery window",
        "+14155550101",
        20,
        "meets a busy line, and is tried twice more",
        policies={"retry_policy": _RETRIES},
    ),
    _Demo("Table booking", "+14155550150", 25, "is answered"),
    _Demo("Prescription ready", "+14155550102", 30, "is not answered"),
    _Demo("Callback for Mr Osei", "+14155550151", 35, "is answered"),
    _Demo("Invoice follow-up", "+14155550103", 40, "fails"),
    _Demo("Wrong number", "+14155550111", 45, "is refused by the carrier"),
    _Demo(
        "Hourly check-in",
        "+14155550108",
        50,
        "is answered, then repeats every hour",
        repeat_config={"frequency": "hourly", "count": 24},
    ),
    _Demo(
        "Morning call",
        "+14155550130",
        days=1,
        timezone="America/New_York",
        repeat_config={"frequency": "daily", "skip_holidays": "US"},
        policies={"calling_window": _OFFICE_HOURS},
    ),
    _Demo(
        "Rent is due",
        "+14155550131",
        days=7,
        timezone="Europe/Berlin",
        repeat_config={"frequency": "monthly"},
    ),
    _Demo(
        "Yearly review",
        "+14155550132",
        days=30,
        timezone="Asia/Tokyo",
        repeat_config={"frequency": "yearly"},
    ),
]


class Command(BaseCommand):
    help = "Creates the demo operator and, where there is no schedule yet, demo schedules."

    def add_arguments(self, parser: CommandParser) -> None:
        """One option."""
        parser.add_argument(
            "--operator-only",
            action="store_true",
            help="no schedules: a real carrier would dial them",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say who may sign in and what will happen next."""
        refuse_demo_operator()
        if settings.PUBLIC_HOSTS:
            hosts = ", ".join(settings.PUBLIC_HOSTS)
            self.stdout.write(f"This server is open to others ({hosts}), so there is no demo.")
            self.stdout.write("manage.py createsuperuser makes an operator.")
        else:
            self._demonstrate(operator_only=options["operator_only"])
        self._tell_what_is_due()

    def _demonstrate(self, *, operator_only: bool) -> None:
        operator = _operator()
        if operator.check_password(PASSWORD):
            self.stdout.write(f"Sign in as {NAME} with the password {PASSWORD}.")
        else:
            self.stdout.write(f"Sign in as {NAME}, whose password has been changed, or yourself.")
        if not operator_only and not CallSchedule.objects.exists():
            now = timezone.now().replace(microsecond=0)
            for demo in _DEMOS:
                _create(demo, now, owner_id(operator))

    def _tell_what_is_due(self) -> None:
        self.stdout.write("What happens next:")
        promised = {demo.phone: demo.will for demo in _DEMOS if demo.will}
        due = ActiveSchedule.objects.exclude(next_execution=None).in_order()
        for armed in due.select_related("schedule")[:_TOLD]:
            moment = timezone.localtime(armed.next_execution)
            will = promised.get(armed.schedule.phone, "is called")
            self.stdout.write(f"  {moment:%a %d %b %H:%M:%S}  {str(armed.schedule)[:60]!r} {will}")
        if not due.exists():
            self.stdout.write("  nothing: no call is scheduled.")


def _operator() -> Any:
    users = get_user_model().objects
    known = users.filter(username=NAME).first()
    with atomic():  # with its entry in the audit
        return known or users.create_superuser(NAME, password=PASSWORD)


def _create(demo: _Demo, now: datetime, created_by: str) -> None:
    at_nine = f"{now + timedelta(days=demo.days):%Y-%m-%d}T09:00:00"
    plan = make_plan(
        phone=demo.phone,
        scheduled_time=at_nine if demo.days else now + timedelta(seconds=demo.seconds),
        timezone=demo.timezone,
        repeat_config=demo.repeat_config,
        now=now,
        **demo.policies,
    )
    services.create_schedule(
        plan=plan,
        created_by=created_by,
        description=demo.description,
        user_profile_id="profile_demo",
        agent_instance_id="agent_demo",
    )
