"""The live fixtures, for every test below this directory."""

import pytest

pytest.register_assert_rewrite("tests.live")

from tests.live import database_file, live, live_server_process, own_database, sandbox  # noqa: E402

__all__ = ["database_file", "live", "live_server_process", "own_database", "sandbox"]
