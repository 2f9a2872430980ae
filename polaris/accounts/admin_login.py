"""The admin's door: its form counts who tries, and its page says so with a 429."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from unfold.forms import AuthenticationForm

from polaris.accounts.models import SignIn
from polaris.accounts.signing_in import begin
from polaris.errors import MustWait


class SignInForm(AuthenticationForm):
    """Asks for a name and a password; who has guessed too often waits first."""

    waits: int = 0

    def clean(self) -> dict[str, Any]:
        """Raises ValidationError."""
        name = self.cleaned_data.get("username")
        if not name or not self.cleaned_data.get("password"):
            return super().clean()
        try:
            attempt = begin(self.request, username=name, door=SignIn.Door.ADMIN)
        except MustWait as error:
            self.waits = error.seconds
            raise ValidationError(error.issue, code="throttled") from error
        try:
            cleaned = super().clean()
        except ValidationError:
            attempt.failed()
            raise
        attempt.succeeded()
        return cleaned


def sign_in_page(request: HttpRequest) -> HttpResponseBase:
    """Django's page, with the status of a refusal where one must wait."""
    answer = admin.site.login(request)
    form = (getattr(answer, "context_data", None) or {}).get("form")
    if isinstance(form, SignInForm) and form.waits:
        answer.status_code = MustWait.error.status
        answer.headers["Retry-After"] = str(form.waits)
    return answer
