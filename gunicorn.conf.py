"""gunicorn's log lines look like the project's (conventions/log_lines.py), and name no query string: links in mails
carry their token there. gunicorn reads this file by itself when it is started beside it."""

from config.environment import read_environment

_environment = read_environment()
_LINES = {"json": "conventions.log_lines.JsonLines", "line": "conventions.log_lines.PlainLines"}

# Its path is the same for every instance of a user.
control_socket_disable = True

access_log_format = "%(m)s %(U)s %(s)s %(b)s bytes %(M)s ms request_id=%({x-request-id}o)s"
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"scrubbed": {"()": _LINES[_environment.log_format]}},
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": "scrubbed", "stream": "ext://sys.stdout"},
        "err": {"class": "logging.StreamHandler", "formatter": "scrubbed", "stream": "ext://sys.stderr"},
    },
    "root": {"handlers": ["err"], "level": "INFO"},
    "loggers": {
        "gunicorn.error": {"handlers": ["err"], "level": "INFO", "propagate": False},
        "gunicorn.access": {"handlers": ["out"], "level": "INFO", "propagate": False},
    },
}
