"""The box in which an operator chooses a time zone out of six hundred."""

from typing import Any

from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSelect2Widget

from schedules.localtime import zone_names


def zone_choices() -> list[tuple[str, str]]:
    """Every zone by its IANA name, in order."""
    return [(name, name) for name in sorted(zone_names())]


class ZoneWidget(UnfoldAdminSelect2Widget):
    """Written at once: with a template for each option the box takes longer than the whole page."""

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        """The box and its options, as HTML."""
        widget = self.get_context(name, value, attrs)["widget"]
        options = format_html_join(
            "\n",
            '<option value="{}"{}>{}</option>',
            (
                (option["value"], flatatt(option["attrs"]), option["label"])
                for _, options, _ in widget["optgroups"]
                for option in options
            ),
        )
        return format_html(
            '<select name="{}"{}>{}</select>', widget["name"], flatatt(widget["attrs"]), options
        )
