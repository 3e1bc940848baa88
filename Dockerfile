# Two stages: the first has pip and installs what requirements.lock names, the second has neither.
FROM python:3.11-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/venv
COPY requirements.lock /tmp/requirements.lock
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary :all: -r /tmp/requirements.lock

COPY app /opt/membudget/app
COPY migrations /opt/membudget/migrations
COPY alembic.ini LICENSE NOTICE /opt/membudget/
# The root of the running container is read-only: byte code is written now or never.
RUN /opt/venv/bin/python -m compileall -q /opt/venv/lib /opt/membudget/app \
    && printf '#!/bin/sh\nexec /opt/venv/bin/python -m app "$@"\n' > /opt/venv/bin/membudget-server \
    && chmod 755 /opt/venv/bin/membudget-server


FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 membudget \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin membudget \
    && install -d -o membudget -g membudget -m 750 /data \
    && pip uninstall --yes --quiet pip
COPY --from=build /opt /opt

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/membudget \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MEMBUDGET_HOST=0.0.0.0 \
    MEMBUDGET_PORT=8000 \
    MEMBUDGET_DATABASE_URL=sqlite:////data/membudget.db

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM

# /healthz, not /readyz: without its database the service still answers from policy in memory,
# and restarting it would help nobody.
HEALTHCHECK --interval=10s --timeout=4s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['MEMBUDGET_PORT']), timeout=3); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]

ENTRYPOINT ["membudget-server"]
CMD ["serve"]
