"""The operators' pages about the housekeeping jobs and their runs: to look at, not to touch.

django_apscheduler's own pages could run a job inside the web process, and delete its history.
"""

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString
from django_apscheduler.models import DjangoJob, DjangoJobExecution
from unfold.contrib.filters.admin import RelatedCheckboxFilter
from unfold.decorators import display

from polaris.admin_site import (
    NOTHING,
    DaysFilter,
    ReadOnlyAdmin,
    badge,
    link,
    page_of,
    scheduler_zone,
    two_lines,
)
from polaris.admin_words import distance_in_words, moment_in_words, span_in_words

COLOURS = {
    DjangoJobExecution.SENT: "info",
    DjangoJobExecution.SUCCESS: "success",
    DjangoJobExecution.ERROR: "danger",
}

# The app's label stays in the paths; this is the name that breadcrumbs show.
DjangoJob._meta.app_config.verbose_name = "Housekeeping"
admin.site.unregister([DjangoJob, DjangoJobExecution])


@admin.register(DjangoJob)
class HousekeepingJobAdmin(ReadOnlyAdmin):
    """The fixed jobs, as HOUSEKEEPING in the settings names them."""

    list_display = ["id", "next_run"]
    fields = ["id", "next_run"]

    @display(description="Next run", ordering="next_run_time")
    def next_run(self, job: DjangoJob) -> SafeString | str:
        moment = job.next_run_time
        if moment is None:
            return "paused"
        when = moment_in_words(moment, scheduler_zone())
        return two_lines(when, distance_in_words(moment, timezone.now()))


@admin.register(DjangoJobExecution)
class HousekeepingRunAdmin(ReadOnlyAdmin):
    """What became of each run."""

    list_display = ["ran", "job_link", "outcome", "took", "exception"]
    list_filter = [("job", RelatedCheckboxFilter), ("run_time", DaysFilter)]
    fields = ["id", "job_link", "outcome", "ran", "took", "exception", "traceback"]
    ordering = ["-run_time", "-id"]

    @display(description="Ran", ordering="run_time")
    def ran(self, run: DjangoJobExecution) -> str:
        return moment_in_words(run.run_time, scheduler_zone())

    @display(description="Job", ordering="job_id")
    def job_link(self, run: DjangoJobExecution) -> SafeString:
        return link(page_of(DjangoJob, run.job_id), run.job_id)

    @display(description="Outcome", ordering="status")
    def outcome(self, run: DjangoJobExecution) -> SafeString:
        return badge(run.status, COLOURS.get(run.status, "warning"))

    @display(description="Took", ordering="duration")
    def took(self, run: DjangoJobExecution) -> str:
        if run.duration is None:
            return NOTHING
        return span_in_words(timedelta(seconds=float(run.duration)))
