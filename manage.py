#!/usr/bin/env python
"""Django's command line. `python manage.py help` lists the commands."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from conventions import tenancy

    if sys.argv[1:2] != ["runserver"]:  # the one command that serves strangers
        tenancy.whole_process_sees_everything()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # the environment, whose every problem it names
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
