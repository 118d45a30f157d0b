"""How the sandbox's pages look: one document frame and one style sheet, nothing fetched from anywhere."""

from html import escape

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--back:#f3f4f7;--ink:#1d2330;--soft:#535b6b;--line:#c6ccd6;--accent:#4338ca;
--on-accent:#fff;--bad:#a61b1b;--bad-back:#fdeaea;--note:#fff3cf;--note-ink:#5b4300}
@media (prefers-color-scheme:dark){:root{--paper:#1b2029;--back:#11141a;--ink:#eef1f6;--soft:#aab3c2;--line:#495263;
--accent:#a5b0ff;--on-accent:#11141a;--bad:#ffb4b4;--bad-back:#47191b;--note:#463a10;--note-ink:#ffe9a8}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
.sandbox{margin:0;padding:.6rem 1rem;background:var(--note);color:var(--note-ink);text-align:center;font-size:.9rem}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 3rem;display:grid;gap:1.5rem}
@media (min-width:50rem){main.two{grid-template-columns:1fr 1.1fr;padding-top:3rem}}
main.one{max-width:32rem}
section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:1.5rem}
section.plain{background:none;border:0}
h1{font-size:1.15rem;margin:0 0 .25rem;font-weight:600}
.total{font-size:2.4rem;font-weight:700;margin:0 0 1rem;letter-spacing:-.02em}
ul.items{list-style:none;margin:0;padding:0}
ul.items li{display:flex;justify-content:space-between;gap:1rem;padding:.6rem 0;border-top:1px solid var(--line)}
.soft,small{color:var(--soft);font-size:.9rem}
label,legend{display:block;font-weight:600;font-size:.9rem;margin:1rem 0 .3rem;padding:0}
fieldset{border:0;padding:0;margin:1rem 0 0}small{white-space:nowrap}
input:not([type=radio]){width:100%;font:inherit;padding:.65rem .75rem;border:1px solid var(--line);border-radius:8px;
background:var(--paper);color:var(--ink)}
::placeholder{color:var(--soft);opacity:1}
input[readonly]{background:var(--back);color:var(--soft)}
.row{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
.choice{display:flex;align-items:center;gap:.5rem;font-weight:400;margin:.35rem 0}
.when-sepa{display:none}form:has(#sepa:checked) .when-sepa{display:block}form:has(#sepa:checked) .when-card{display:none}
button,.button{display:block;width:100%;margin-top:1.25rem;padding:.8rem 1rem;border-radius:8px;border:1px solid var(--accent);
background:var(--accent);color:var(--on-accent);font:inherit;font-weight:600;text-align:center;text-decoration:none;
cursor:pointer}
.button.second,button.second{background:none;color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.error{background:var(--bad-back);color:var(--bad);border-radius:8px;padding:.75rem 1rem;margin:0 0 .5rem}
details{margin-top:1.5rem}summary{cursor:pointer;color:var(--soft)}
table{width:100%;border-collapse:collapse;font-size:.85rem}td,th{padding:.3rem .4rem;text-align:left;vertical-align:top}
code{font-family:ui-monospace,monospace}
dl{display:grid;grid-template-columns:auto 1fr;gap:.4rem 1rem;margin:0}dt{color:var(--soft)}dd{margin:0;text-align:right}
"""

WARNING = "Sandbox: a local stand-in for Stripe. No real card is charged, no money moves."


def document(*, title: str, body: str, columns: str = "one") -> str:
    """`body` is HTML already; every value in it must have been escaped."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f'<body><header class="sandbox">{WARNING}</header><main class="{columns}">{body}</main></body></html>'
    )


def message(*, title: str, text: str, link: str | None = None, label: str = "Go back") -> str:
    button = f'<a class="button" href="{escape(link)}">{escape(label)}</a>' if link else ""
    return document(title=title, body=f"<section><h1>{escape(title)}</h1><p>{escape(text)}</p>{button}</section>")
