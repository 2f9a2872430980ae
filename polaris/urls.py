"""Every path of the house, mapped to its room."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from polaris.accounts.admin_login import sign_in_page
from polaris.accounts.views import LogoutView, RefreshView, TokenView
from polaris.health.views import LiveView, ReadyView
from polaris.metrics.views import MetricsView
from polaris.paths import paths

# Its page is HTML, in which DRF could not answer OPTIONS.
_DOCS = SpectacularSwaggerSplitView.as_view(url_name="openapi", metadata_class=None)

handler500 = "polaris.error_format.server_error"

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("admin/login/", sign_in_page),
    path("admin/", admin.site.urls),
    *paths("auth/token", TokenView.as_view(), name="token"),
    *paths("auth/token/refresh", RefreshView.as_view(), name="token-refresh"),
    *paths("auth/logout", LogoutView.as_view(), name="logout"),
    *paths("health/live", LiveView.as_view(), name="live"),
    *paths("health/ready", ReadyView.as_view(), name="ready"),
    *paths("metrics", MetricsView.as_view(), name="metrics"),
    path("", include("tracking.urls")),
    path("", include("schedules.urls")),
    path("", include("webhooks.urls")),
    *paths("api/schema", SpectacularAPIView.as_view(), name="openapi"),
    *paths("api/docs", _DOCS, name="docs"),
]
