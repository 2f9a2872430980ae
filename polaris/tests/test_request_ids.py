"""Every request has an id: in its answer and in the log."""

import logging

import pytest

from polaris.request_ids import RequestIdFilter

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("given", ["abc", "0af7651916cd43dd", "a.b_c:d/e+f=g@h-i", "x" * 64])
def test_a_sane_one_of_the_clients_is_kept(api, given):
    answer = api.get("/schedule/", headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["+4915112345678", "call/+4915112345678", "004915112345678"])
def test_one_that_holds_a_phone_number_is_replaced_too(api, given):
    answer = api.get("/schedule/", headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"].startswith("request_")


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ä", "<script>", "a\r\nb", "a,b"])
def test_any_other_is_replaced_by_one_of_ours(api, given):
    answer = api.get("/schedule/", headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"].startswith("request_")


def test_the_line_that_django_writes_of_a_refused_request_bears_it_too(api, caplog, monkeypatch):
    monkeypatch.setattr(caplog.handler, "filters", [RequestIdFilter()])

    api.get("/schedule/nothing", headers={"X-Request-ID": "mine"})

    (line,) = [record for record in caplog.records if record.name == "django.request"]
    assert line.request_id == "mine"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/schedule/", 200),
        ("/schedule/nothing", 404),
        ("/nowhere", 404),
        ("/admin/login/", 200),
        ("/api/schema", 200),
    ],
)
def test_every_answer_has_one_of_its_own(api, path, status):
    one, other = api.get(path), api.get(path)

    assert one.status_code == status
    assert one.headers["X-Request-ID"] != other.headers["X-Request-ID"]


def test_an_answer_that_failed_has_one_too(api, monkeypatch):
    monkeypatch.setattr("schedules.views.visible_to", lambda *_, **__: 1 / 0)
    api.raise_request_exception = False

    answer = api.get("/schedule/")

    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"].startswith("request_")


def test_a_line_of_the_log_bears_it_within_a_request_and_a_dash_outside(api, monkeypatch):
    seen = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.request_id)

    ear, logger = Ear(), logging.getLogger("polaris.test")
    ear.addFilter(RequestIdFilter())
    logger.addHandler(ear)
    visible_to = __import__("schedules.views", fromlist=["visible_to"]).visible_to

    def say(*arguments, **more):
        logger.warning("within")
        return visible_to(*arguments, **more)

    monkeypatch.setattr("schedules.views.visible_to", say)
    try:
        api.get("/schedule/", headers={"X-Request-ID": "mine"})
        logger.warning("outside")
    finally:
        logger.removeHandler(ear)

    assert seen == ["mine", "-"]
