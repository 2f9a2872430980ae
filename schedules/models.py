"""When we should call: schedules, their armed next occurrences, and the runners that dial."""

from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.timezone import now

from polaris.errors import ScheduleNotFound, Unreadable
from polaris.ids import ID_MAX_LENGTH, new_id
from polaris.masking import mask_numbers
from polaris.privacy.fields import (
    LookupField,
    NumberQuerySet,
    SealedCharField,
    SealedModel,
    SealedTextField,
)
from schedules.calling_window import CallingWindow, parse_calling_window
from schedules.localtime import load_zone, stated_in, to_wall
from schedules.number_zones import window_zones
from schedules.recurrence import Rule
from schedules.repeat_config import parse_repeat_config
from schedules.retry_policy import RetryPolicy, parse_retry_policy
from schedules.states import FINAL, ArmedStatus, ScheduleStatus
from schedules.timetable import Timetable


class CallType(models.TextChoices):
    """Who calls whom; a schedule is always outbound."""

    OUTBOUND = "outbound", "outbound"
    INBOUND = "inbound", "inbound"


class Overlap(models.TextChoices):
    """What becomes of an occurrence that comes due while the last one's call is live."""

    SKIP = "skip", "skip it"
    WAIT = "wait", "wait for the end of the call"


class CallScheduleQuerySet(NumberQuerySet):
    """Reads of schedules."""

    def named(self, schedule_id: str) -> "CallSchedule":
        """The schedule of that id. Raises ScheduleNotFound."""
        schedule = self.filter(pk=schedule_id).first()
        if schedule is None:
            raise ScheduleNotFound(f"There is no schedule {schedule_id!r}.")
        return schedule

    def with_next_execution(self) -> Self:
        """Adds `next_execution`: when the next call is due, None where none is armed."""
        armed = ActiveSchedule.objects.filter(schedule=models.OuterRef("pk"))
        earliest = armed.exclude(next_execution=None).order_by("next_execution")
        return self.annotate(next_execution=models.Subquery(earliest.values("next_execution")[:1]))


class CallSchedule(SealedModel):
    """Whom to call, when, and by what rule to call again."""

    Status = ScheduleStatus

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "schedule"),
        editable=False,
    )
    created_by = models.CharField(max_length=64, editable=False)
    user_profile_id = models.CharField(max_length=128, blank=True, default="")
    agent_instance_id = models.CharField(max_length=128, blank=True, default="")
    phone = SealedCharField(max_length=16, help_text="E.164, such as +15005550006")
    phone_lookup = LookupField(of="phone")
    scheduled_time = models.DateTimeField(help_text="The first call; repetitions count from it")
    timezone = models.CharField(
        max_length=64, help_text="IANA zone whose wall clock the repetitions keep"
    )
    status = models.CharField(
        max_length=16,
        choices=ScheduleStatus,
        default=ScheduleStatus.CREATED,
        editable=False,
    )
    status_reason = models.TextField(
        blank=True, default="", editable=False, help_text="Why it is in this state, in words"
    )
    call_type = models.CharField(
        max_length=16, choices=CallType, default=CallType.OUTBOUND, editable=False
    )
    description = models.TextField(blank=True, default="", max_length=2000)
    notes = SealedTextField(blank=True, default="", max_length=10000)
    wall_time = models.CharField(
        max_length=26,
        blank=True,
        default="",
        editable=False,
        help_text="The wall time asked for, where that day's clock skips it (ISO 8601, local)",
    )
    repeat_config = models.JSONField(null=True, blank=True, default=None)
    retry_policy = models.JSONField(null=True, blank=True, default=None)
    calling_window = models.JSONField(null=True, blank=True, default=None)
    overlap = models.CharField(
        max_length=8,
        choices=Overlap,
        default=Overlap.SKIP,
        help_text="What becomes of an occurrence that comes due while the last call is live",
    )
    revision = models.PositiveIntegerField(
        default=1, editable=False, help_text="Counts its changes, so that none is overwritten"
    )
    call_id = models.CharField(
        max_length=64, blank=True, default="", editable=False, help_text="The latest call's SID"
    )
    duration = models.PositiveIntegerField(
        null=True, editable=False, help_text="Seconds the latest call was talked"
    )
    created_at = models.DateTimeField(default=now, editable=False)
    last_updated = models.DateTimeField(default=now, editable=False)

    objects = CallScheduleQuerySet.as_manager()

    class Meta:
        db_table = "call_schedules"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="schedule_newest"),
            models.Index(fields=["created_by", "-created_at"], name="schedule_owner"),
            models.Index(fields=["status", "scheduled_time"], name="schedule_status_time"),
            models.Index(fields=["user_profile_id"], name="schedule_profile"),
            models.Index(fields=["agent_instance_id"], name="schedule_agent"),
            models.Index(fields=["phone_lookup"], name="schedule_phone_lookup"),
            # For retention: which of those that are over are old enough.
            models.Index(
                fields=["last_updated"],
                condition=Q(status__in=sorted(FINAL)),
                name="schedule_over",
            ),
        ]

    def __str__(self) -> str:
        return mask_numbers(self.description) or self.id

    @property
    def is_readable(self) -> bool:
        """Whether the keys of its number and notes are there."""
        try:
            return None not in (self.phone, self.notes)
        except Unreadable:
            return False

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose wall clock the schedule keeps."""
        return load_zone(self.timezone)

    @property
    def rule(self) -> Rule | None:
        """The rule of repetition; None for a one-time call."""
        return parse_repeat_config(self.repeat_config, anchor=self.anchor, zone=self.zone)

    @property
    def anchor(self) -> datetime:
        """What the rule counts from: the scheduled time, as the wall time that was asked for."""
        return stated_in(self.zone, self.wall_time, self.scheduled_time)

    @property
    def is_recurring(self) -> bool:
        """Whether it may call more than once."""
        return isinstance(self.repeat_config, dict) and bool(self.repeat_config.get("enabled"))

    @property
    def window(self) -> CallingWindow | None:
        """The hours in which its calls may be placed; None where any hour will do."""
        return parse_calling_window(self.calling_window)

    @property
    def window_zones(self) -> tuple[ZoneInfo, ...]:
        """The zones in all of which its window must be open; none without a window."""
        window = self.window
        return window_zones(window, phone=self.phone, zone=self.zone) if window else ()

    @property
    def retries(self) -> RetryPolicy | None:
        """When an occurrence is tried again; None where it is not."""
        return parse_retry_policy(self.retry_policy)

    @property
    def timetable(self) -> Timetable:
        """When it calls: its rule's occurrences, as far as its window lets."""
        window, zones = self.window, self.window_zones
        return Timetable(self.anchor, self.zone, self.rule, window, zones)

    def local(self, moment: datetime) -> datetime:
        """`moment` on the schedule's wall clock, naive."""
        return to_wall(moment, self.zone)


class ActiveScheduleQuerySet(models.QuerySet["ActiveSchedule"]):
    """Reads of armed occurrences."""

    def due(self, moment: datetime, *, free_at: datetime | None = None) -> Self:
        """Occurrences whose time has come and that no live runner holds (at `free_at`)."""
        return self.filter(next_execution__lte=moment).free(free_at or moment)

    def waiting(self, moment: datetime) -> Self:
        """Occurrences that should have been dialled by now and that no live runner holds, those
        included that are looked at again later: refused for now, or their line is busy."""
        # Nothing is put off beyond its grace time. The bound is for the index on next_execution.
        longest = timedelta(seconds=settings.SCHEDULER_MISFIRE_GRACE_TIME + 60)
        return self.filter(due_at__lte=moment, next_execution__lte=moment + longest).free(moment)

    def free(self, moment: datetime) -> Self:
        """Occurrences that no live runner holds: never claimed, or the lease has run out."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lt=moment))

    def claimed(self, moment: datetime) -> Self:
        """Occurrences that a live runner holds."""
        return self.leased().filter(leased_until__gte=moment)

    def leased(self) -> Self:
        """Occurrences that a runner holds, be it alive or dead."""
        return self.filter(lease__gt="")  # by the index: of a million armed rows few are claimed

    def waiting_on(self, log_id: str) -> Self:
        """Occurrences that wait for the end of the call with that log."""
        # The index's condition, too: SQLite does not see that the second implies it.
        return self.filter(waits_on__gt="", waits_on=log_id)

    def earliest_execution(self) -> datetime | None:
        """When the first of them is due; None where none is armed."""
        return next(iter(self.first_execution()), None)

    def first_execution(self) -> "models.QuerySet[ActiveSchedule, datetime]":
        """As `earliest_execution`, not yet looked for."""
        first = self.exclude(next_execution=None).order_by("next_execution")
        return first.values_list("next_execution", flat=True)[:1]

    def in_order(self) -> Self:
        """By due time; paused ones last."""
        return self.order_by(F("next_execution").asc(nulls_last=True), "id")


class ActiveSchedule(models.Model):
    """The armed next call of a schedule: the row that the job store reads.

    `occurrence` is the nominal time that it stands for, `due_at` when this attempt of it should
    be dialled (lateness and grace count from it), `next_execution` when it is looked at next: then,
    or later where `waits_for` says why."""

    Status = ArmedStatus

    class Origin(models.TextChoices):
        """Why it was armed."""

        RULE = "rule", "by its schedule"
        OPERATOR = "operator", "call now"
        RETRY = "retry", "by its retry policy"

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "active"),
        editable=False,
    )
    # Without an index of its own: that of active_once_per_attempt begins with it.
    schedule = models.ForeignKey(
        CallSchedule, on_delete=models.CASCADE, db_index=False, related_name="armed"
    )
    job_id = models.CharField(
        max_length=ID_MAX_LENGTH, unique=True, default=partial(new_id, "job"), editable=False
    )
    next_execution = models.DateTimeField(null=True, help_text="When to dial; none while paused")
    status = models.CharField(
        max_length=16, choices=ArmedStatus, default=ArmedStatus.SCHEDULED, editable=False
    )
    occurrence = models.DateTimeField(help_text="The nominal time that this call stands for")
    attempt = models.PositiveSmallIntegerField(default=1)
    due_at = models.DateTimeField(default=now, help_text="When this attempt should be dialled")
    asked = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often the carrier has refused it for now"
    )
    waits_for = models.TextField(
        blank=True, default="", editable=False, help_text="Why it waits though it is due, in words"
    )
    waits_on = models.CharField(
        max_length=ID_MAX_LENGTH,
        blank=True,
        default="",
        editable=False,
        help_text="The log of the call whose end it waits for",
    )
    origin = models.CharField(max_length=16, choices=Origin, default=Origin.RULE)
    leased_until = models.DateTimeField(null=True, editable=False)
    lease = models.CharField(
        max_length=ID_MAX_LENGTH, blank=True, default="", editable=False, help_text="The claim"
    )
    runner_id = models.CharField(max_length=ID_MAX_LENGTH, blank=True, default="", editable=False)
    created_at = models.DateTimeField(default=now, editable=False)
    last_updated = models.DateTimeField(default=now, editable=False)

    objects = ActiveScheduleQuerySet.as_manager()

    # When a claim may be dialled: given with the claim, not stored.
    begins_at: datetime | None = None

    class Meta:
        db_table = "active_schedules"
        ordering = ["next_execution", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "occurrence", "attempt"], name="active_once_per_attempt"
            )
        ]
        indexes = [
            models.Index(fields=["next_execution", "id"], name="active_due"),
            models.Index(fields=["lease"], name="active_lease"),
            # Few wait for a call.
            models.Index(fields=["waits_on"], condition=Q(waits_on__gt=""), name="active_waits_on"),
            # Nor are many looked at after they were due.
            models.Index(fields=["due_at"], condition=Q(waits_for__gt=""), name="active_put_off"),
        ]

    def __str__(self) -> str:
        return self.job_id

    @cached_property
    def timetable(self) -> Timetable:
        """Its schedule's, read once: what a claim holds is read anew by the next one."""
        return self.schedule.timetable

    def is_lease_over(self, moment: datetime) -> bool:
        """Whether the claim that this row was read with has run out at `moment`."""
        return self.leased_until is not None and moment >= self.leased_until


class Pause(models.Model):
    """A span in which a schedule was paused: why its occurrences in there were not dialled."""

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "pause"),
        editable=False,
    )
    schedule = models.ForeignKey(CallSchedule, on_delete=models.CASCADE, related_name="pauses")
    began_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "schedule_pauses"
        ordering = ["began_at", "id"]
        indexes = [models.Index(fields=["schedule", "began_at"], name="pause_schedule")]

    def __str__(self) -> str:
        return f"from {self.began_at} to {self.ended_at}"


class Gate(models.Model):
    """The gate that every claim passes: one row, shared by all runners.

    It keeps the pace of dialling, and is closed while the carrier takes no calls."""

    CALLS = "calls"

    id = models.CharField(primary_key=True, max_length=16, default=CALLS, editable=False)
    next_slot = models.DateTimeField(null=True, help_text="When the next call may begin")
    closed_since = models.DateTimeField(null=True)
    reason = models.TextField(blank=True, default="", help_text="Why it is closed, in words")
    closed_by = models.CharField(
        max_length=64, blank=True, default="", help_text="The operator who closed it, if one did"
    )
    probe_at = models.DateTimeField(null=True, help_text="When one call is tried next")
    probes = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "gates"

    def __str__(self) -> str:
        return f"closed: {self.reason}" if self.closed_since else "open"

    def bars(self, *, trial: bool) -> bool:
        """Whether a call that was claimed before may not begin now.

        A `trial` begins though the carrier has stopped all dialling, not though an operator has."""
        return self.closed_since is not None and not (trial and not self.closed_by)


class Turn(models.Model):
    """Whose turn it is to do a housekeeping job: a lease, so that two never do it at once."""

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    holder = models.CharField(max_length=ID_MAX_LENGTH, blank=True, default="")
    until = models.DateTimeField(null=True)

    class Meta:
        db_table = "housekeeping_turns"

    def __str__(self) -> str:
        return self.id


class RunnerQuerySet(models.QuerySet["Runner"]):
    """Reads of runners."""

    def claiming(self) -> Self:
        """Those that claim what is due, and dial it or hand it over."""
        return self.filter(role=Runner.Role.RUNNER)

    def workers(self) -> Self:
        """Those that dial what runners hand over."""
        return self.filter(role=Runner.Role.WORKER)

    def alive(self, moment: datetime | None = None) -> Self:
        """Those that have been heard of lately and have not said good-bye."""
        since = (moment or now()) - Runner.SILENCE
        return self.filter(stopped_at=None, last_seen_at__gte=since)

    def with_calls_in_hand(self) -> Self:
        """Adds `calls_in_hand`: how many occurrences each has claimed and not dealt with."""
        held = ActiveSchedule.objects.claimed(now()).filter(runner_id=models.OuterRef("pk"))
        counted = held.order_by().values("runner_id").annotate(n=models.Count("pk")).values("n")
        return self.annotate(calls_in_hand=Coalesce(models.Subquery(counted), 0))


class Runner(models.Model):
    """A `runapscheduler` process or a Celery worker, as it tells of itself."""

    class Role(models.TextChoices):
        """What it does."""

        RUNNER = "runner", "runner"  # claims what is due
        WORKER = "worker", "worker"  # dials what runners hand over

    HEARTBEAT = timedelta(seconds=5)
    SILENCE = timedelta(seconds=20)

    id = models.CharField(
        primary_key=True,
        max_length=ID_MAX_LENGTH,
        default=partial(new_id, "runner"),
        editable=False,
    )
    role = models.CharField(max_length=16, choices=Role, default=Role.RUNNER, editable=False)
    host = models.CharField(max_length=255)
    process_id = models.PositiveIntegerField()
    version = models.CharField(max_length=32, blank=True, default="")
    started_at = models.DateTimeField(default=now)
    last_seen_at = models.DateTimeField(default=now)
    stopped_at = models.DateTimeField(null=True)
    # Null, so that an older version that does not know it can still sign in.
    trouble = models.TextField(null=True, help_text="Why it dials nothing, in words")  # noqa: DJ001

    objects = RunnerQuerySet.as_manager()

    class Meta:
        db_table = "runners"
        ordering = ["-last_seen_at"]

    def __str__(self) -> str:
        return f"{self.host}:{self.process_id}"

    @property
    def is_alive(self) -> bool:
        """Whether it has been heard of lately and has not said good-bye."""
        return self.stopped_at is None and now() - self.last_seen_at < self.SILENCE

    @property
    def has_settled(self) -> bool:
        """Whether it has lived to beat: what dies as soon as it has started is no help."""
        return self.last_seen_at - self.started_at >= self.HEARTBEAT


class RunnerWatch(models.Model):
    """Whether it has been told that no runner, or no worker, is there, or that none can dial: a row
    for each, moved by compare-and-set."""

    RUNNERS = "runners"
    WORKERS = "workers"
    BLOCKED = "blocked"

    id = models.CharField(primary_key=True, max_length=16, default=RUNNERS, editable=False)
    missing_since = models.DateTimeField(null=True, help_text="When a runner was last heard of")

    class Meta:
        db_table = "runner_watch"
        default_permissions = ()

    def __str__(self) -> str:
        missing = f"missing since {self.missing_since}"
        return f"{self.pk}: {missing if self.missing_since else 'there'}"
