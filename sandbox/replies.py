"""HTTP answers for people: a page, a redirect, nothing found."""

from aiohttp import web

from sandbox.look import message

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"


def html(text: str, status: int = 200, *, policy: str = POLICY) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html",
                        headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})  # fmt: skip


def see_other(url: str) -> web.Response:
    return web.Response(status=303, headers={"Location": url})


def not_found() -> web.Response:
    return html(message(title="Not found", text="The sandbox knows no such page."), 404)
