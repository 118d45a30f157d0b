# One image for web, worker and scheduler; the command decides which (compose.yaml).
FROM python:3.13-slim AS build
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.*
COPY requirements.txt .
RUN uv venv /venv && uv pip install --python /venv/bin/python --no-cache --require-hashes -r requirements.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DJANGO_SETTINGS_MODULE=config.settings
RUN useradd --create-home --uid 10001 largesse
WORKDIR /app
COPY --from=build /venv /venv
COPY --chown=largesse . .
# A volume that is mounted here takes its owner from this directory.
RUN install -d -o largesse -m 0700 exportfiles
# Collecting static files needs settings, but none of these values reach a running container.
RUN SECRET_KEY=build STRIPE_SECRET_KEY=sk_test_buildbuildbuildbuildbuild STRIPE_WEBHOOK_SECRET=whsec_build \
    python manage.py collectstatic --noinput --verbosity 0
USER largesse
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
    python -c "import urllib.request as u; u.urlopen(u.Request('http://127.0.0.1:8000/healthz', headers={'Host': 'localhost'}), timeout=2)"
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000", "--threads", "4", "--access-logfile", "-"]
