# One image for the web process, the runner, the worker and every manage.py command: `command:` says
# which. docs/deploying.md tells how it is used, and what of it has been tried.
#
#   docker build -t polaris .
#   docker build -t polaris --build-arg LOCKS="requirements.txt" .    without the optional drivers
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS wheels
# Lock files, installed with their hashes: what Polaris needs, then the drivers of PostgreSQL and
# MongoDB and what else is optional.
ARG LOCKS="requirements.txt requirements-optional.txt"
WORKDIR /build
COPY requirements*.txt ./
RUN set -eu; \
    python -m venv /venv; \
    for lock in $LOCKS; do \
        /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-compile \
            --no-deps --require-hashes --requirement "$lock"; \
    done; \
    /venv/bin/pip uninstall --yes --quiet pip setuptools; \
    python -m compileall -q /venv/lib

FROM python:${PYTHON}-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENV_FILE=/dev/null \
    DATABASE_URL=sqlite:////data/polaris.sqlite3
# Ids that a volume on the host can be given to.
RUN groupadd --system --gid 10001 polaris \
    && useradd --system --uid 10001 --gid polaris --home-dir /app --no-create-home polaris \
    && install --directory --owner=polaris --group=polaris /data
COPY --from=wheels /venv /venv
WORKDIR /app
COPY manage.py ./
COPY polaris ./polaris
COPY schedules ./schedules
COPY tracking ./tracking
COPY webhooks ./webhooks
COPY templates ./templates
# The keys are needed by the settings, sign and seal nothing, and are no part of the image's
# environment.
RUN NO_KEY=$(python -c "import base64; print(base64.urlsafe_b64encode(bytes(32)).decode())") \
    && SECRET_KEY="for the building of the image alone" DATABASE_URL=sqlite:////tmp/none \
        ENCRYPTION_KEYS=$NO_KEY LOOKUP_KEYS=$NO_KEY \
        python manage.py collectstatic --noinput --verbosity 0 \
    && python -m compileall -q polaris schedules tracking webhooks
USER 10001:10001
# All state: an SQLite file, where no other database is named. The rest may be read-only.
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web process; compose.yaml switches it off for the others. Any answer but a failure shows that
# it lives, also one to a host that it does not serve or a redirect to https.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/health/live', headers={'X-Forwarded-Proto': 'https'}); raise SystemExit(c.getresponse().status >= 500)"]
# Exec form: the process is the container's first and gets SIGTERM itself. The forwarded addresses are
# judged by TRUSTED_PROXIES, not by uvicorn.
CMD ["python", "-m", "uvicorn", "polaris.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--lifespan", "off", "--no-proxy-headers", "--no-access-log", "--timeout-graceful-shutdown", "20"]
