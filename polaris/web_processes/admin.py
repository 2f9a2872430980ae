"""The operators' page about the web processes: to look at."""

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display

from polaris.admin_site import ReadOnlyAdmin, badge, scheduler_zone
from polaris.admin_words import distance_in_words, moment_in_words
from polaris.web_processes.models import WebProcess


@admin.register(WebProcess)
class WebProcessAdmin(ReadOnlyAdmin):
    """The processes that answer requests, as they tell of themselves."""

    list_display = ["name", "alive", "version", "started", "last_seen"]
    fields = ["name", "id", "alive", "version", "started", "last_seen"]
    search_fields = ["id", "host"]

    @display(description="Host and process", ordering="host")
    def name(self, process: WebProcess) -> str:
        return str(process)

    @display(description="Alive")
    def alive(self, process: WebProcess) -> SafeString:
        return badge("alive", "success") if process.is_alive else badge("gone", "")

    @display(description="Started", ordering="started_at")
    def started(self, process: WebProcess) -> str:
        return moment_in_words(process.started_at, scheduler_zone())

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, process: WebProcess) -> str:
        return distance_in_words(process.last_seen_at, timezone.now())
