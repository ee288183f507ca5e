# The desk without its servers: web, workers, beat and feed, on a PostgreSQL and a Valkey that run elsewhere. How they
# run together: compose.yaml, and docs/operations.md, "Containers". No secret is in here: they come with the
# environment, or are made in the data folder at the first start.

FROM python:3.11-slim AS packages
WORKDIR /desk
ENV PIP_NO_CACHE_DIR=1
COPY mem requirements.txt package.json package-lock.json .npmrc ./
# As on every other machine: requirements.txt with --require-hashes, then `npm ci` by the npm of the wheel. Made at
# the path where it will run: an environment of Python knows its own folder.
RUN ./mem packages up

FROM python:3.11-slim
WORKDIR /desk
RUN useradd --system --user-group --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin desk \
    && install -d -m 0700 -o desk -g desk /data /data/static
COPY --from=packages /desk/.venv .venv
COPY --from=packages /desk/node_modules node_modules
# What .dockerignore lets through. It belongs to root: the desk can't change its own code.
COPY . .
RUN .venv/bin/python -m compileall -q -x '/(\.venv|node_modules)/' .

# What the supervisor of `./mem up` gives its processes (algotrendy/supervisor/).
ENV ALGOTRENDY_DATA=/data \
    CELERY_SKIP_CHECKS=1 \
    DJANGO_SETTINGS_MODULE=algotrendy.settings \
    MALLOC_ARENA_MAX=2 \
    MKL_NUM_THREADS=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER desk
EXPOSE 8000
# Web only; what serves no pages is started without it. By the first name that the desk answers to.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/desk/.venv/bin/python", "-c", "import os, urllib.request as http; name = (os.environ.get('ALGOTRENDY_HOSTS') or 'localhost').split(',')[0].strip().lstrip('.').replace('*', 'localhost'); http.urlopen(http.Request('http://127.0.0.1:8000/healthz', headers={'Host': name}), timeout=4)"]
# The same arguments that the supervisor gives to Python; `docker run IMAGE manage.py COMMAND` runs any command.
ENTRYPOINT ["/desk/.venv/bin/python"]
CMD ["manage.py", "web", "--host", "0.0.0.0", "--port", "8000"]
