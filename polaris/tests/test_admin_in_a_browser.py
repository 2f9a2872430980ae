"""The admin as an operator meets it: a real browser, under the content security policy."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin import site
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_apscheduler.models import DjangoJob, DjangoJobExecution
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from polaris.accounts import grants
from polaris.accounts.models import SignIn
from polaris.web_processes.models import WebProcess
from schedules import gate
from schedules.models import CallSchedule, Runner
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"there is no browser at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread; Django would refuse the database in it.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def stranger(chromium, live_server) -> Iterator[Page]:
    """A browser that nobody has signed in with; it must have no complaint in the end."""
    complaints: list[str] = []
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", lambda message: complaints.extend(complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.wait_for_load_state("networkidle")
    context.close()
    assert complaints == []


@pytest.fixture
def browser(stranger, operator) -> Page:
    """The operator's browser, signed in."""
    client = Client()
    client.force_login(operator)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    stranger.goto("/admin/login/")
    url = stranger.url.split("/admin")[0]
    stranger.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": key, "url": url}])
    return stranger


def complaint(message: ConsoleMessage) -> list[str]:
    return [message.text] if message.type == "error" else []


def armed(**fields) -> CallSchedule:
    return ActiveScheduleFactory(schedule=CallScheduleFactory(**fields)).schedule


def status_of(schedule: CallSchedule) -> str:
    schedule.refresh_from_db()
    return schedule.status


def open_list(page: Page) -> None:
    page.goto(reverse("admin:schedules_callschedule_changelist"))


def open_page(page: Page, schedule: CallSchedule) -> None:
    page.goto(reverse("admin:schedules_callschedule_change", args=[quote(schedule.pk)]))


def choose(page: Page, action: str, *schedules: CallSchedule) -> None:
    """Tick schedules in the list and run an action on them, as far as its question."""
    open_list(page)
    for schedule in schedules:
        page.locator(f"input.action-select[value={schedule.pk}]").check()
    page.select_option("select[name=action]", label=action)
    page.get_by_role("button", name="Run").click()


def button(page: Page, action: str) -> Locator:
    """A button of the page; its icon's name stands before its own."""
    return page.get_by_role("link", name=re.compile(rf" {action}$"))


def press(page: Page, action: str, schedule: CallSchedule) -> None:
    """Press a button on a schedule's page and say yes in its dialog."""
    open_page(page, schedule)
    button(page, action).click()
    page.locator("#dialog").get_by_role("button", name=f"Yes, {action.lower()}").click()
    page.wait_for_selector("#dialog", state="detached")


def test_an_operator_signs_in_and_lands_on_the_dashboard(stranger, operator):
    stranger.goto("/admin/")
    stranger.fill("#id_username", "operator")
    stranger.fill("#id_password", "an operator's password")
    stranger.get_by_role("button", name="Log in").click()

    expect(stranger.get_by_text("Is a runner alive?")).to_be_visible()


def test_schedules_are_paused_from_the_list_and_what_was_passed_over_is_told(browser):
    dentist = armed(description="Dentist")
    over = CallScheduleFactory(description="Survey", status=CallSchedule.Status.COMPLETED)

    choose(browser, "Pause", dentist, over)
    expect(browser.get_by_text("Pause: 2 call schedules")).to_be_visible()
    assert status_of(dentist) == "scheduled"
    browser.get_by_role("button", name="Yes, pause").click()

    expect(browser.get_by_text("Paused 1 call schedule: Dentist.")).to_be_visible()
    expect(
        browser.get_by_text("Passed over 1: Survey (a completed schedule cannot be paused).")
    ).to_be_visible()
    assert status_of(dentist) == "paused"


def test_who_does_not_confirm_changes_nothing(browser):
    dentist = armed()

    choose(browser, "Cancel for good", dentist)
    browser.get_by_role("link", name="No, take me back").click()
    open_page(browser, dentist)
    button(browser, "Pause").click()
    browser.locator("#dialog").get_by_role("link", name="Cancel").click()

    expect(browser.locator("#dialog")).to_be_hidden()
    assert status_of(dentist) == "scheduled"


def test_a_schedule_is_paused_resumed_called_and_cancelled_on_its_page(browser):
    dentist = armed(description="Dentist")

    press(browser, "Pause", dentist)
    expect(browser.get_by_text("Paused 1 call schedule: Dentist.")).to_be_visible()
    assert status_of(dentist) == "paused"

    press(browser, "Resume", dentist)
    expect(browser.get_by_text("Resumed 1 call schedule: Dentist.")).to_be_visible()
    assert status_of(dentist) == "scheduled"

    press(browser, "Call now", dentist)
    expect(browser.get_by_text("Dialling 1 call schedule: Dentist.")).to_be_visible()
    assert dentist.armed.get().next_execution <= timezone.now()

    press(browser, "Cancel for good", dentist)
    expect(browser.get_by_text("Cancelled 1 call schedule: Dentist.")).to_be_visible()
    assert status_of(dentist) == "cancelled"
    expect(button(browser, "Pause")).to_have_count(0)


def test_a_recurring_schedule_is_written_on_the_form(browser):
    browser.goto(reverse("admin:schedules_callschedule_add"))
    expect(browser.get_by_role("checkbox", name="Friday")).to_be_hidden()

    browser.fill("#id_phone", "+15005550006")
    browser.fill("#id_description", "Dentist")
    browser.fill("input[type=date]", "2030-03-01")
    browser.fill("input[type=time]", "09:00:00")
    browser.locator(".select2-selection").first.click()
    browser.locator(".select2-search__field").fill("Berlin")
    browser.locator(".select2-results__option", has_text="Europe/Berlin").click()
    browser.select_option("#id_repeats", "weekly")
    browser.fill("#id_every", "2")
    browser.get_by_role("checkbox", name="Monday").check()
    browser.get_by_role("checkbox", name="Friday").check()
    browser.get_by_role("button", name="Save", exact=True).click()

    expect(browser.get_by_text("was added successfully")).to_be_visible()
    expect(browser.get_by_text("every 2 weeks on Monday, Friday")).to_be_visible()
    schedule = CallSchedule.objects.get()
    assert schedule.scheduled_time == datetime(2030, 3, 1, 8, tzinfo=UTC)
    assert schedule.timezone == "Europe/Berlin"
    assert schedule.repeat_config == {
        "enabled": True,
        "frequency": "weekly",
        "interval": 2,
        "weekdays": ["monday", "friday"],
    }


def test_saving_a_recurring_schedule_as_it_is_keeps_its_rule(browser):
    rule = {
        "enabled": True,
        "frequency": "weekly",
        "interval": 3,
        "weekdays": ["tuesday", "sunday"],
    }
    schedule = armed(repeat_config=rule, timezone="Asia/Kathmandu")
    moment = schedule.scheduled_time

    open_page(browser, schedule)
    expect(browser.get_by_role("checkbox", name="Tuesday")).to_be_checked()
    expect(browser.get_by_role("checkbox", name="Monday")).not_to_be_checked()
    browser.fill("#id_notes", "Ring twice.")
    browser.get_by_role("button", name="Save", exact=True).click()

    expect(browser.get_by_text("was changed successfully")).to_be_visible()
    schedule.refresh_from_db()
    assert (schedule.notes, schedule.repeat_config) == ("Ring twice.", rule)
    assert (schedule.scheduled_time, schedule.timezone) == (moment, "Asia/Kathmandu")


def test_a_bad_phone_number_shows_its_error_and_keeps_what_was_typed(browser):
    browser.goto(reverse("admin:schedules_callschedule_add"))
    browser.fill("#id_phone", "0800 12345")
    browser.fill("input[type=date]", "2030-03-01")
    browser.fill("input[type=time]", "09:00:00")
    browser.select_option("#id_repeats", "daily")
    browser.get_by_role("button", name="Save", exact=True).click()

    expect(browser.get_by_text("A phone number is written in E.164")).to_be_visible()
    expect(browser.locator("#id_phone")).to_have_value("0800 12345")
    expect(browser.locator("#id_every")).to_be_visible()
    assert not CallSchedule.objects.exists()


def test_the_dashboard_follows_what_happens_without_a_reload(browser):
    browser.goto("/admin/")
    expect(browser.get_by_text("No: nothing is dialled.")).to_be_visible()
    expect(browser.get_by_text("No call is armed.")).to_be_visible()

    Runner.objects.create(host="calls-1", process_id=7)
    WebProcess.objects.create(host="web-1", process_id=8)
    armed(description="Dentist", scheduled_time=timezone.now() + timedelta(hours=1))

    expect(browser.get_by_text("Yes: calls-1:7")).to_be_visible(timeout=15_000)
    expect(browser.get_by_role("link", name="Dentist")).to_be_visible()


def test_the_dashboard_says_when_the_operator_has_been_signed_out(browser):
    browser.goto("/admin/")
    browser.context.clear_cookies()

    browser.wait_for_selector("#dashboard-cards", state="detached", timeout=15_000)
    words = browser.evaluate(
        "getComputedStyle(document.getElementById('dashboard'), '::after').content"
    )
    assert "You have been signed out" in words


def test_the_form_shows_what_it_would_call_before_it_is_saved(browser):
    browser.goto(reverse("admin:schedules_callschedule_add"))
    browser.fill("[name=scheduled_time_0]", "2030-03-30")
    browser.fill("[name=scheduled_time_1]", "02:30:00")
    browser.select_option("[name=timezone]", "Europe/Berlin", force=True)
    browser.select_option("[name=repeats]", "daily")

    browser.get_by_role("button", name="Show the next calls").click()

    preview = browser.locator("#preview-lines")
    expect(preview).to_contain_text("Sun 31 Mar 2030, 03:30 Europe/Berlin")
    expect(preview).to_contain_text("moved")
    browser.fill("[name=window_start]", "08:00")
    browser.fill("[name=window_end]", "21:00")
    browser.get_by_role("button", name="Show the next calls").click()
    expect(preview).to_contain_text("None of the next 1000 occurrences")
    assert not CallSchedule.objects.exists()


def test_all_dialling_is_stopped_on_the_dashboard_and_goes_on_there(browser):
    browser.goto("/admin/")
    dialog = browser.locator("#dialog")

    browser.get_by_role("link", name="Stop all dialling").click()
    dialog.get_by_label("Why").fill("The agent says nonsense.")
    dialog.get_by_role("button", name="Yes, stop all dialling").click()

    expect(browser.get_by_text("Nothing is dialled: The agent says nonsense.")).to_be_visible()
    assert gate.current().closed_by == "operator"

    browser.get_by_role("link", name="Dial again").click()
    dialog.get_by_role("button", name="Yes, dial again").click()

    expect(browser.get_by_text("Calls are dialled again.")).to_be_visible()
    expect(browser.get_by_text("Nothing is dialled:")).to_be_hidden()
    assert gate.current().closed_since is None


def test_a_live_call_is_hung_up_with_its_schedule(browser):
    dentist = armed(description="Dentist", status=CallSchedule.Status.RUNNING)
    log = CallLogFactory(schedule=dentist, status="in_progress")

    choose(browser, "Cancel for good", dentist)
    browser.get_by_label("Hang up").check()
    browser.get_by_role("button", name="Yes, cancel for good").click()

    expect(browser.get_by_text("Cancelled 1 call schedule: Dentist.")).to_be_visible()
    log.refresh_from_db()
    assert log.stop == "hang_up"


def one_of_each(operator: User) -> None:
    """A row of every model that the admin shows."""
    log = CallLogFactory(
        schedule=armed(description="Dentist", repeat_config={"frequency": "daily"})
    )
    NotificationFactory(status="failed", last_error="The receiver answered 500.")
    WebhookEvent.objects.create(fingerprint="1", call_id=log.call_id, call_status="ringing")
    Runner.objects.create(host="calls-1", process_id=7)
    WebProcess.objects.create(host="web-1", process_id=8)
    gate.close("Twilio 20003: Authenticate")
    Group.objects.create(name="Desk")
    grants.grant(user=operator, agent_instance_id="agent_1", granted_by=operator)
    SignIn.objects.create(username="demo", address="192.0.2.1", door="admin", outcome="refused")
    job = DjangoJob.objects.create(id="recover", next_run_time=timezone.now(), job_state=b"")
    DjangoJobExecution.objects.create(job=job, status="Executed", run_time=timezone.now())


def addresses_of(model: type[Model]) -> list[str]:
    """The pages of the admin about a model."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = quote(str(model._default_manager.order_by("pk").first().pk))
    rows = [reverse(f"{name}_{page}", args=[row]) for page in ("change", "delete", "history")]
    return [reverse(f"{name}_changelist"), reverse(f"{name}_add"), *rows]


def test_no_page_breaks_its_own_content_security_policy(chromium, live_server, operator):
    one_of_each(operator)
    pages = [page for model in site._registry for page in addresses_of(model)]
    pages += [reverse(f"admin:{name}") for name in ("index", "password_change", "login")]
    pages += [f"/admin/auth/user/{operator.pk}/password/", "/admin/schedules/", "/api/docs"]
    pages += ["/admin/search/?s=dentist", "/admin/nowhere/"]
    client = Client()
    client.force_login(operator)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    context = chromium.new_context(base_url=live_server.url)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": key, "url": live_server.url}
    context.add_cookies([cookie])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.extend(complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    for address in pages:
        complaints.append(f"-- {address}")
        answer = page.goto(address)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self' 'unsafe-eval';" in policy, address
        page.evaluate("() => new Promise(requestAnimationFrame)")  # what loads has spoken by then

    context.close()
    # Pages that nobody may open, or that do not exist, tell so on the console too. To confirm a
    # deletion Django loads its calendar without the words for it, of which the page has no need.
    known = re.compile(r"^-- |status of (403|404)|gettext(_noop)? is not defined")
    assert [line for line in complaints if not known.search(line)] == [], "\n".join(complaints)


def test_a_script_that_got_into_a_page_does_not_run(chromium, live_server, operator):
    page = chromium.new_context(base_url=live_server.url).new_page()
    page.goto("/admin/login/")

    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            const image = document.createElement("img");
            image.setAttribute("onerror", "window.ran = true");
            image.src = "/nowhere.png";
            document.body.append(image);
        }"""
    )
    page.wait_for_load_state("networkidle")

    assert page.evaluate("window.ran") is None
    page.context.close()


def test_the_documents_page_shows_the_operations_and_tries_one(stranger):
    stranger.goto("/api/docs")

    expect(stranger.get_by_text("/schedule/active")).to_be_visible()
    stranger.get_by_role("button", name="POST /webhook/call-status", exact=True).click()
    expect(stranger.get_by_role("button", name="Try it out")).to_be_visible()
