# The one image of web, worker, beat, flower and migrate; docker-compose.yml says which command makes it which.
#
#   docker build --build-arg CODE_VERSION="$(git describe --always --dirty)" --tag nattevakt .
#
# The base is pinned by tag, because a digest can only be looked up in the registry. To pin it by digest as well, run
# `docker buildx imagetools inspect python:3.13-slim` and write FROM python:3.13-slim@sha256:… in both places below.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.txt .
# Wheels only, and only those whose hashes are in the lock: nothing is compiled, so there is no compiler to take along.
RUN python -m venv /venv \
 && /venv/bin/pip install --require-hashes --only-binary :all: --requirement requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The number is fixed, so that whoever mounts a volume or sets runAsUser can rely on it. Nothing here belongs to it.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin nattevakt
WORKDIR /app
COPY --from=build /venv /venv
COPY . .
# The settings ask for these three before anything runs. They are thrown away with this step, and nothing connects.
RUN SECRET_KEY=build DATABASE_URL=postgres://build REDIS_URL=redis://build \
    python manage.py collectstatic --no-input
# Last, because it differs in every build. The runs carry it, so that an audit can tell which code did what.
ARG CODE_VERSION=unknown
ENV CODE_VERSION=$CODE_VERSION
USER 10001:10001
EXPOSE 8000
# Of web; docker-compose.yml has those of the others. Django answers only to a Host of ALLOWED_HOSTS.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as http; host = os.environ['ALLOWED_HOSTS'].split(',')[0].strip(' .*') or 'localhost'; http.urlopen(http.Request('http://127.0.0.1:8000/healthz', headers={'Host': host}), timeout=4)"]
CMD ["gunicorn", "config.wsgi", "--config=python:config.gunicorn", "--bind=0.0.0.0:8000", "--workers=2", "--threads=4", "--worker-tmp-dir=/dev/shm", "--no-control-socket"]
