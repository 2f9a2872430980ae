"""Documents that repeat what the code says must say the same."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from polaris.audit.verbs import VERBS
from schedules.states import TRANSITIONS as SCHEDULE_TRANSITIONS
from tracking.states import TRANSITIONS as CALL_TRANSITIONS

HOME = Path(settings.BASE_DIR)
PAGES = [*HOME.glob("*.md"), *HOME.glob("docs/**/*.md")]


@pytest.mark.parametrize(
    ("module", "transitions"),
    [("schedules.states", SCHEDULE_TRANSITIONS), ("tracking.states", CALL_TRANSITIONS)],
)
def test_the_tables_of_states_are_the_codes(module, transitions):
    text = (HOME / "docs" / "architecture.md").read_text()
    table = text.split(f"<!-- states: {module} -->")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (\w+) \| ?(.*?) ?\|$", table, re.MULTILINE)
    told = {state: set(filter(None, successors.split(", "))) for state, successors in rows}
    told.pop("from", None)

    assert told == {state: set(transitions.successors(state)) for state in transitions.states}


def test_the_page_about_the_audit_lists_every_verb_and_no_other():
    text = (HOME / "docs" / "audit.md").read_text()
    recorded = text.split("## What is recorded")[1].split("A one-time call")[0]
    rows = re.findall(r"^\| (`.*?`) \|", recorded, re.MULTILINE)

    assert {verb for row in rows for verb in re.findall(r"`([a-z_.]+)`", row)} == set(VERBS)


def test_the_example_environment_names_every_variable_with_its_default():
    example = (HOME / ".env.example").read_text()
    code = "".join(
        (HOME / "polaris" / name).read_text() for name in ("settings.py", "environment.py")
    )
    read = set(
        re.findall(
            r"env\.(?:text|flag|words|whole|decimal|zone|url|template_url|phone|choice|limit|keys|secrets|document|account|addresses|hosts|networks|broker|"
            r'database|email)\(\s*"([A-Z_]+)"',
            code,
        )
    )

    named = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert read == named
    for name, default in re.findall(r"^([A-Z_]+)=(.+)$", example, re.MULTILINE):
        if name in {"HTTPS_ONLY", "ALLOWED_HOSTS", "DEBUG", "NOTIFY_EVENTS", "TRUSTED_PROXIES"}:
            continue
        assert re.search(rf'"{name}",\s*"?{re.escape(default)}"?', code), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):

    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
