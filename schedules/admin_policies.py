"""The part of an operator's form that says when a call may be placed, and what follows one."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from schedules.admin_zones import ZoneWidget, zone_choices
from schedules.calling_window import NUMBER, SCHEDULE
from schedules.models import CallSchedule, Overlap
from schedules.repeat_config import WEEKDAYS
from schedules.retry_policy import FEWEST_ATTEMPTS, LONGEST_DELAY, MOST_ATTEMPTS, OUTCOMES

WINDOW = ("window_start", "window_end", "window_days", "window_zone")
RETRIES = ("retry_on", "retry_attempts", "retry_delays")

# What an error names, and the field of the form that asks for it.
FIELD_OF = {
    "calling_window": "window_start",
    **{f"calling_window.{name.removeprefix('window_')}": name for name in WINDOW},
    "retry_policy": "retry_on",
    **{f"retry_policy.{name.removeprefix('retry_')}": name for name in RETRIES},
}


class PoliciesForm(forms.Form):
    """The calling window, the retries and the overlap of a schedule, as an operator says them."""

    window_start = forms.CharField(
        label="From",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "08:00"}),
        help_text="Calls are placed from this time of day on; blank: at any hour.",
    )
    window_end = forms.CharField(
        label="To",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "21:00"}),
        help_text="Not at or after this time; 24:00 is the end of the day. An end before the "
        "start is on the next day.",
    )
    window_days = forms.MultipleChoiceField(
        label="On",
        choices=[(day, day.capitalize()) for day in WEEKDAYS],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: every day.",
    )
    window_zone = forms.ChoiceField(
        label="On the clock of",
        choices=lambda: [
            (SCHEDULE, "the schedule's time zone"),
            (NUMBER, "the called number's time zone"),
            *zone_choices(),
        ],
        initial=SCHEDULE,
        required=False,
        widget=ZoneWidget,
    )
    retry_on = forms.MultipleChoiceField(
        label="Try again where the call",
        choices=list(
            zip(
                OUTCOMES,
                ("meets a busy line", "is not answered", "fails", "is answered by a machine"),
                strict=True,
            )
        ),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None: an occurrence is tried once.",
    )
    retry_attempts = forms.IntegerField(
        label="At most … attempts, the first included",
        min_value=FEWEST_ATTEMPTS,
        max_value=MOST_ATTEMPTS,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    retry_delays = forms.CharField(
        label="After … seconds",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "60, 300"}),
        help_text=f"Before each further attempt, 1 to {LONGEST_DELAY}; the last one repeats.",
    )
    overlap = forms.ChoiceField(
        label="Due while the last call goes on",
        choices=Overlap.choices,
        initial=Overlap.SKIP,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    def clean_retry_delays(self) -> list[int]:
        """Whole numbers, separated by commas."""
        raw = self.cleaned_data["retry_delays"]
        try:
            return [int(each) for each in raw.split(",")] if raw else []
        except ValueError as error:
            raise forms.ValidationError("Write seconds, such as 60, 300.") from error


def policies_of(cleaned: dict[str, Any]) -> dict[str, Any]:
    """What was entered, as make_plan takes it: `calling_window`, `retry_policy`, `overlap`."""
    window = {name.removeprefix("window_"): cleaned[name] or None for name in WINDOW}
    has_hours = window["start"] or window["end"]
    retries = {name.removeprefix("retry_"): cleaned[name] or None for name in RETRIES}
    return {
        "calling_window": window if has_hours else None,
        "retry_policy": retries,
        "overlap": cleaned["overlap"] or Overlap.SKIP.value,
    }


def shown_policies(schedule: CallSchedule) -> dict[str, Any]:
    """What the form shows of a schedule's policies."""
    window = schedule.calling_window or {}
    retries = schedule.retry_policy or {}
    shown = {f"window_{key}": value for key, value in window.items()}
    if len(window.get("days", ())) == len(WEEKDAYS):
        shown["window_days"] = []
    shown |= {f"retry_{key}": value for key, value in retries.items()}
    if "delays" in retries:
        shown["retry_delays"] = ", ".join(map(str, retries["delays"]))
    return {"window_zone": SCHEDULE, "overlap": schedule.overlap} | shown
