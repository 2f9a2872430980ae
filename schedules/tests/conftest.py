"""What the tests of schedules share."""

import pytest

from polaris.events import on, unregister


@pytest.fixture
def told():
    """The events of runners that were published."""
    events = []
    handler = on("runner.*", in_transaction=True)(events.append)
    yield events
    unregister(handler)
