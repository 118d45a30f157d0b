"""What a benchmark hands to `bench.run`: one JSON document on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    note: str = ""


def main(measure: Callable[[bool], Sequence[Table]]) -> None:
    """Run one benchmark as a program: `python -m bench.NAME [--quick]`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    json.dump([asdict(table) for table in measure(parser.parse_args().quick)], sys.stdout)


def say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def markdown(table: Table) -> str:
    """The table as docs/benchmarks.md holds it."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(_shown(cell) for cell in row) + " |" for row in table.rows]
    return "\n".join([f"**{table.title}**", "", *lines, *(["", table.note] if table.note else [])])


def _shown(cell: str | int | float) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}" if cell < 10 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else cell
