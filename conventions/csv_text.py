"""Text for CSV files that people open in a spreadsheet.

Names and messages are strangers' writing, and a spreadsheet runs a cell that looks like a formula
(https://owasp.org/www-community/attacks/CSV_Injection). Such text gets an apostrophe before it, which spreadsheets take
for "this is text", and so does whatever would look like a formula to a spreadsheet that splits the text at another
separator than ours.
"""

from __future__ import annotations

import re

# Full-width signs besides: some spreadsheets read them as the plain ones.
STARTS_A_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
# Where a cell may begin for a spreadsheet that takes ; or a tab for the separator, as in much of Europe.
WITHIN = re.compile("""([;,\t|"\r\n][ \u00a0]*|^[ \u00a0]+)(?=[=+@＝＋－＠-])""")


def harmless(text: str) -> str:
    """The text, such that no spreadsheet takes it for a formula."""
    text = WITHIN.sub(r"\1'", text)
    return f"'{text}" if text[:1] in STARTS_A_FORMULA and text else text
