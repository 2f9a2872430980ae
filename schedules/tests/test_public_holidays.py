import subprocess
import sys
from datetime import date

import pytest

from schedules.public_holidays import UnknownPlace, check_place, holiday_on, last_known_year


@pytest.mark.parametrize(
    ("text", "code"),
    [("FI", "FI"), (" us-ca ", "US-CA"), ("de-BY", "DE-BY"), ("FR-971", "FR-971"), ("GB", "GB")],
)
def test_a_place_is_a_country_or_a_region_of_it(text, code):
    assert check_place(text) == code


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("", "Must be the code"),
        ("Finland", "Must be the code"),
        ("FIN", "Must be the code"),
        ("DE_BY", "Must be the code"),
        ("US-California", "Must be the code"),
        ("ÄÄ", "Must be the code"),
        ("ß", "Must be the code"),
        ("XX", "The holidays of XX are not known."),
        ("US-ZZ", "The holidays of US-ZZ are not known, but those of US are."),
    ],
)
def test_any_other_place_is_refused(text, issue):
    with pytest.raises(UnknownPlace, match=issue):
        check_place(text)


@pytest.mark.parametrize(
    ("day", "place", "name"),
    [
        (date(2026, 12, 6), "FI", "Independence Day"),
        (date(2026, 12, 7), "FI", ""),
        (date(2026, 7, 3), "US", "Independence Day (observed)"),
        (date(2026, 3, 31), "US-CA", "Cesar Chavez Day"),
        (date(2026, 3, 31), "US", ""),
        (date(2026, 11, 1), "DE-BY", "All Saints' Day"),
        (date(2026, 11, 1), "DE", ""),
        (date(2101, 12, 25), "US", ""),
    ],
)
def test_a_holiday_has_its_english_name(day, place, name):
    assert holiday_on(day, place) == name


def test_a_country_whose_feasts_are_known_for_few_years_is_no_warning():
    assert holiday_on(date(2090, 1, 26), "IN")


def test_the_last_known_year_is_the_library_s():
    assert last_known_year("US-CA") >= 2100


def test_the_library_is_not_loaded_before_it_is_asked():
    program = "import sys, schedules.repeat_config; print('holidays' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert said.stdout.strip() == b"False"
