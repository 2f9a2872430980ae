"""The form in which an operator writes a schedule: the wall clock of its zone, and a rule in words.

The form asks `make_plan` whether the schedule can be kept; it writes nothing, and leaves its
instance as the database holds it.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminExpandableTextareaWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from polaris.errors import PolarisError
from polaris.masking import masked_number
from schedules.admin_policies import FIELD_OF, PoliciesForm, policies_of, shown_policies
from schedules.admin_zones import ZoneWidget, zone_choices
from schedules.crontab import parse_crontab
from schedules.localtime import Gap
from schedules.models import CallSchedule
from schedules.planning import Plan, make_plan
from schedules.recurrence import Frequency, MonthEnd
from schedules.repeat_config import MAX_COUNT, MAX_INTERVAL, WEEKDAYS

TEXTS = ("description", "notes", "user_profile_id", "agent_instance_id")
BY_CRON, BY_RRULE = "cron", "rrule"
REPETITION = (
    "repeats",
    "every",
    "cron",
    "rrule",
    "weekdays",
    "month_end",
    "ends_on",
    "count",
    "gap",
    "skip_holidays",
    "exdates",
)

# A key of repeat_config, and the field of the form that asks for it.
FIELD_OF_KEY = {
    "frequency": "repeats",
    "interval": "every",
    "cron": "cron",
    "rrule": "rrule",
    "weekdays": "weekdays",
    "month_end": "month_end",
    "end_date": "ends_on",
    "count": "count",
    "gap": "gap",
    "skip_holidays": "skip_holidays",
    "exdates": "exdates",
}
_ONLY_WITH: dict[str, Collection[str]] = {
    "frequency": set(Frequency),
    "interval": set(Frequency),
    "cron": {BY_CRON},
    "rrule": {BY_RRULE},
    "end_date": {*Frequency, BY_CRON},
    "count": {*Frequency, BY_CRON},
    "weekdays": {Frequency.WEEKLY},
    "month_end": {Frequency.MONTHLY, Frequency.YEARLY},
    "gap": {*Frequency, BY_CRON, BY_RRULE} - {Frequency.HOURLY},
}
_DEFAULTS = {"month_end": MonthEnd.LAST, "gap": Gap.FORWARD}
_INPUT = {"class": " ".join(INPUT_CLASSES)}


class DateInput(forms.DateInput):
    """The browser's own calendar, which knows of no zone."""

    input_type = "date"


class TimeInput(forms.TimeInput):
    """The browser's own clock, to the second."""

    input_type = "time"


class WallTimeWidget(UnfoldAdminSplitDateTimeWidget):
    """Two boxes without Django's "today" and "now", which mean the server's clock."""

    def __init__(self) -> None:
        day = DateInput(attrs=_INPUT, format="%Y-%m-%d")
        clock = TimeInput(attrs=_INPUT | {"step": 1}, format="%H:%M:%S")
        forms.MultiWidget.__init__(self, [day, clock])


class WallTimeField(forms.SplitDateTimeField):
    """A date and a time as they stand on a wall clock: naive, whatever zone the server keeps."""

    widget = WallTimeWidget

    def compress(self, data_list: Any) -> datetime | None:
        if not data_list:
            return None
        return datetime.combine(*data_list)


class DatesField(forms.CharField):
    """Dates and times as an operator lists them: one a line, or with commas."""

    def clean(self, value: Any) -> list[str]:
        """The texts; what they mean is read with the rest of the repetition."""
        return super().clean(value).replace(",", " ").split()

    def prepare_value(self, value: Any) -> Any:
        """A list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether other dates are listed."""
        return super().has_changed(self.prepare_value(initial), data)


class ScheduleForm(PoliciesForm, forms.ModelForm):
    """A schedule as an operator thinks of it; `refusal` is an error that came with the writing."""

    refusal: PolarisError | None = None
    plan: Plan

    scheduled_time = WallTimeField(
        label="First call",
        help_text="On the clock of the time zone below; repetitions keep this clock time.",
    )
    timezone = forms.ChoiceField(
        label="Time zone",
        choices=zone_choices,
        initial=lambda: settings.SCHEDULER_TIMEZONE,
        widget=ZoneWidget,
    )
    repeats = forms.ChoiceField(
        choices=[
            ("", "never"),
            *((unit, unit) for unit in Frequency),
            (BY_CRON, "by a crontab line"),
            (BY_RRULE, "by a rule of RFC 5545"),
        ],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    every = forms.IntegerField(
        label="Every … hours, days, weeks, months or years",
        min_value=1,
        max_value=MAX_INTERVAL,
        initial=1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    cron = forms.CharField(
        label="Crontab line",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Minute, hour, day of the month, month, weekday (0 and 7 are Sunday): "
        "0 9 * * MON-FRI is 09:00 on weekdays.",
    )
    rrule = forms.CharField(
        label="Rule",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="FREQ=MONTHLY;BYDAY=-1FR is the last Friday of the month, at the time of the "
        "first call. It ends by itself: COUNT=12 or UNTIL=20301231.",
    )
    weekdays = forms.MultipleChoiceField(
        label="On",
        choices=[(day, day.capitalize()) for day in WEEKDAYS],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: the weekday of the first call.",
    )
    month_end = forms.ChoiceField(
        label="Where a month is too short",
        choices=[(MonthEnd.LAST, "its last day"), (MonthEnd.SKIP, "no call that month")],
        initial=_DEFAULTS["month_end"],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    ends_on = forms.CharField(
        label="Until",
        required=False,
        widget=UnfoldAdminSingleDateWidget,
        help_text="A day, which is included, or an ISO 8601 time; blank: no end.",
    )
    count = forms.IntegerField(
        label="At most … times",
        min_value=1,
        max_value=MAX_COUNT,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Blank: no limit.",
    )
    gap = forms.ChoiceField(
        label="Where the clock skips the time",
        choices=[(Gap.FORWARD, "call later, by what was skipped"), (Gap.SKIP, "no call that day")],
        initial=_DEFAULTS["gap"],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    skip_holidays = forms.CharField(
        label="Not on holidays of",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The code of a country or region, such as FI, US-CA or DE-BY; blank: also on "
        "holidays.",
    )
    exdates = DatesField(
        label="Not on",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Days such as 2030-12-24, or times of single calls such as 2030-12-24T09:00, on "
        "the clock of the time zone above; one a line.",
    )

    # As it was read: what somebody else has changed since is not overwritten.
    read_revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = CallSchedule
        fields = ["phone", *TEXTS]
        widgets = {
            "description": UnfoldAdminExpandableTextareaWidget,
            "notes": UnfoldAdminExpandableTextareaWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self._is_change and "phone" in self.fields:
            self._mask_phone()
        if self._is_change:
            self.initial["read_revision"] = self.instance.revision
            self.initial.update(_wall_time(self.instance))
            self.initial.update(_repetition(self.instance.repeat_config))
            self.initial.update(shown_policies(self.instance))
        if line := self.initial.get("cron"):
            self.fields["cron"].help_text = f"{parse_crontab(line).explain()}."

    @property
    def texts(self) -> dict[str, str]:
        """What is kept of a schedule beyond its plan."""
        return {name: self.cleaned_data[name] for name in TEXTS}

    def clean_phone(self) -> str:
        """Left blank it stays what it is."""
        typed: str = self.cleaned_data["phone"]
        return typed or (self.instance.phone if self._is_change else "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.refusal is not None:
            self._tell(self.refusal)
        if not self.errors:
            self._make_plan(cleaned)
        return cleaned

    def _post_clean(self) -> None:
        """Leave the instance alone: services compare with what the database holds."""

    def _mask_phone(self) -> None:
        self.initial["phone"] = ""
        field = self.fields["phone"]
        field.required = False
        field.help_text = f"{masked_number(self.instance)}; leave it blank to keep that number."

    @property
    def _is_change(self) -> bool:
        return not self.instance._state.adding

    @property
    def _kept_rule(self) -> tuple[str, dict[str, Any] | None] | None:
        if not self._is_change:
            return None
        return self.instance.timezone, self.instance.repeat_config

    def _make_plan(self, cleaned: dict[str, Any]) -> None:
        kept = self.instance.scheduled_time if self._is_change else None
        moved = {"scheduled_time", "timezone"}.intersection(self.changed_data)
        try:
            self.plan = make_plan(
                phone=cleaned["phone"] or None,  # which a preview alone may lack
                # The form shows no fractions, and one of two equal wall times: keep the instant.
                scheduled_time=kept if kept and not moved else cleaned["scheduled_time"],
                timezone=cleaned["timezone"],
                repeat_config=self._repeat_config(cleaned),
                now=timezone.now(),
                kept_time=kept,
                kept_wall=(self.instance.timezone, self.instance.wall_time),
                kept_rule=self._kept_rule,
                kept_window=(self.instance.phone, self.instance.calling_window),
                **policies_of(cleaned),
            )
        except PolarisError as error:
            self._tell(error)

    def _repeat_config(self, cleaned: dict[str, Any]) -> dict[str, Any] | None:
        if self._is_change and not set(REPETITION).intersection(self.changed_data):
            return self.instance.repeat_config
        kind = cleaned["repeats"]
        if not kind:
            return None
        asked = {key: cleaned[field] for key, field in FIELD_OF_KEY.items()}
        return {"enabled": True} | {
            key: value
            for key, value in asked.items()
            if key == kind
            or (
                value not in ("", None, [], _DEFAULTS.get(key))
                and kind in _ONLY_WITH.get(key, {kind})
            )
        }

    def _tell(self, error: PolarisError) -> None:
        """Put an error where the operator can mend it."""
        name = FIELD_OF_KEY.get(error.field.removeprefix("repeat_config."), error.field)
        if name == "repeat_config":
            name = "repeats"
        name = FIELD_OF.get(name, name)
        self.add_error(name if name in self.fields else None, error.issue)


def _wall_time(schedule: CallSchedule) -> dict[str, Any]:
    try:
        wall = schedule.local(schedule.anchor)
    except OverflowError:  # the calendar ends before that clock gets there
        wall = schedule.scheduled_time.astimezone(UTC).replace(tzinfo=None)
    return {"scheduled_time": wall.replace(microsecond=0), "timezone": schedule.timezone}


def _repetition(config: dict[str, Any] | None) -> dict[str, Any]:
    if not config or not config.get("enabled"):
        return {}
    shown = {field: config[key] for key, field in FIELD_OF_KEY.items() if key in config}
    for kind in (BY_CRON, BY_RRULE):
        if kind in config:
            shown["repeats"] = kind
    return shown
