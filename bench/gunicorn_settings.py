"""gunicorn for every contender alike: as many processes and threads as compose.yaml and the Dockerfile start."""

workers = 2
threads = 4
keepalive = 30
loglevel = "error"
