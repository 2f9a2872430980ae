"""The path that TWILIO_WEBHOOK_URL names."""

from polaris.paths import paths
from webhooks.views import CallStatusView

urlpatterns = [*paths("webhook/call-status", CallStatusView.as_view(), name="call-status")]
