"""The dashboard's server: pages, what they ask for, and commands for runs."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from importlib import resources
from string import Template
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chainrule.errors import ArgumentError, ChainruleError, FileError
from chainrule.insight import views
from chainrule.insight.access import App, Door, Guard
from chainrule.insight.collection import EndedError, NoRunError, Runs
from chainrule.insight.record_file import plain

LANGUAGES = ("en", "zh")
_BODY = 4096  # bytes of a command
_COMPARED = 12  # runs beside each other
_KEPT = "chainrule_language"  # the name of a cookie
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def make_app(runs: Runs, door: Door, language: str | None = None) -> App:
    """Return the ASGI application that shows runs.

    Parameters
    ----------
    runs : Runs
        What it shows.
    door : Door
        Who may see it.
    language : {"en", "zh"}, optional
        By default what the browser prefers.
    """
    host = Host(runs, language)
    routes = [
        Route("/", host.page),
        Route("/run", host.page),
        Route("/compare", host.page),
        Route("/report", host.report),
        Route("/static/{name}", host.file),
        Route("/api/runs", host.overview),
        Route("/api/run", host.run),
        Route("/api/sections", host.sections),
        Route("/api/compare", host.compare),
        Route("/api/command", host.command, methods=["POST"]),
    ]
    packed = Middleware(GZipMiddleware, minimum_size=2000, compresslevel=4)
    app = Starlette(
        routes=routes, middleware=[packed], exception_handlers={ChainruleError: _mistake}
    )
    return Guard(app, door)


def _mistake(request: Request, error: Exception) -> Response:
    """Return what a request gets that asked for something that is not there, or wrong."""
    kinds = ((EndedError, 409), (NoRunError, 404), (ArgumentError, 400), (FileError, 500))
    status = next((code for kind, code in kinds if isinstance(error, kind)), 500)
    return _answer({"error": str(error)}, status)


def _answer(content: Any, status: int = 200, tag: str | None = None) -> Response:
    text = json.dumps(plain(content), ensure_ascii=False, allow_nan=False)
    return _raw(text.encode(), "application/json", status, tag)


def _raw(content: bytes, kind: str, status: int = 200, tag: str | None = None) -> Response:
    # With a tag the browser asks each time whether it is still good.
    headers = {"cache-control": "no-store" if tag is None else "no-cache"}
    headers |= {} if tag is None else {"etag": f'"{tag}"'}
    return Response(content, status, headers, kind)


def _known(request: Request, tag: str) -> bool:
    """Return whether who asks has that already; a compressed answer's tag is weak."""
    given = request.headers.get("if-none-match", "")
    return tag in [one.strip().removeprefix("W/").strip('"') for one in given.split(",")]


def _tagged(request: Request, tag: str, make: Callable[[], Any]) -> Response:
    if _known(request, tag):
        return Response(status_code=304, headers={"etag": f'"{tag}"', "cache-control": "no-cache"})
    return _answer(make(), tag=tag)


class Host:
    """What each address answers with.

    Parameters
    ----------
    runs : Runs
        What is shown.
    language : str, optional
        Of the pages, where who looks has not chosen another.
    """

    def __init__(self, runs: Runs, language: str | None = None) -> None:
        self.runs = runs
        self.default = language
        self.files = {name: _packaged(name) for name in _names()}
        self.words = json.loads(_packaged("words.json"))

    def page(self, request: Request) -> Response:
        """Return a page, which asks for the rest itself."""
        language = self._language(request)
        setup = {
            "language": language,
            "words": self.words[language],
            "folder": str(self.runs.folder),
            "plotly": f"static/plotly-{_plotly()[0]}.js",
        }
        text = Template(_packaged("dashboard.html").decode()).substitute(
            language={"zh": "zh-CN"}.get(language, language),
            other={"zh": "en"}.get(language, "zh"),
            # In a page `</` would end the element that holds it.
            setup=json.dumps(setup, ensure_ascii=False).replace("<", "\\u003c"),
            **self.words[language]["_page"],
        )
        answer = _raw(text.encode(), "text/html; charset=utf-8")
        if request.query_params.get("language") in LANGUAGES:
            answer.set_cookie(_KEPT, language, max_age=31_536_000, httponly=True, samesite="lax")
        return answer

    def _language(self, request: Request) -> str:
        asked = [request.query_params.get("language"), request.cookies.get(_KEPT), self.default]
        liked = request.headers.get("accept-language", "").lower().split(",")
        asked += [part.split(";")[0].strip()[:2] for part in liked]
        return next((one for one in asked if one in LANGUAGES), "en")

    def file(self, request: Request) -> Response:
        """Return one of the files that belong to the pages."""
        name = request.path_params["name"]
        version, read = _plotly()
        if name == f"plotly-{version}.js":
            tag, kind = version, ".js"
        elif name in self.files:
            tag, kind = hashlib.sha256(self.files[name]).hexdigest()[:16], name[name.rindex(".") :]
        else:
            return _answer({"error": "no such file"}, 404)
        if _known(request, tag):
            return Response(status_code=304)
        return _raw(self.files[name] if name in self.files else read(), _TYPES[kind], tag=tag)

    def overview(self, request: Request) -> Response:
        """Return all runs in short."""
        language = self._language(request)
        found = plain(views.overview(self.runs, language))
        tag = hashlib.sha256(json.dumps(found).encode()).hexdigest()[:24]
        return _tagged(request, tag, lambda: found)

    def run(self, request: Request) -> Response:
        """Return what is known of a run, but its charts."""
        name, language = self._name(request), self._language(request)
        told = functools.partial(views.facts, language=language)
        tag = f"{self.runs.version(name)}_{language}"
        return _tagged(request, tag, lambda: self.runs.with_record(name, told))

    def sections(self, request: Request) -> Response:
        """Return the sections of a run's report and their charts."""
        name, language = self._name(request), self._language(request)
        told = functools.partial(views.sections, language=language)
        tag = f"{self.runs.version(name)}_{language}"
        return _tagged(request, tag, lambda: self.runs.with_record(name, told))

    def compare(self, request: Request) -> Response:
        """Return runs beside each other, and how many more were asked for."""
        names = list(dict.fromkeys(request.query_params.getlist("run")))
        metric, language = request.query_params.get("metric", ""), self._language(request)
        found = self.runs.versions(names[:_COMPARED])
        left_out = max(0, len(names) - _COMPARED)

        def told() -> dict[str, Any]:
            shown = views.comparison(self.runs, [*found], metric, language)
            return {**shown, "left_out": left_out}

        parts = f"{found}{metric}{language}{left_out}"
        tag = hashlib.sha256(parts.encode("utf-8", "replace")).hexdigest()[:24]
        return _tagged(request, tag, told)

    async def command(self, request: Request) -> Response:
        """Hand a command to a run."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _answer({"error": "expected application/json"}, 415)
        text = b""
        async for part in request.stream():
            text += part
            if len(text) > _BODY:
                return _answer({"error": "too long"}, 413)
        try:
            command = json.loads(text)
        except (ValueError, RecursionError):
            return _answer({"error": "no JSON"}, 400)
        if not isinstance(command, Mapping):
            return _answer({"error": "expected an object"}, 400)
        await run_in_threadpool(self.runs.send, self._name(request), command)
        return _answer({"sent": True}, 202)

    def report(self, request: Request) -> Response:
        """Return the report of a run as a file to keep."""
        name, language = self._name(request), self._language(request)
        text = self.runs.with_record(name, functools.partial(views.report, language=language))
        answer = _raw(text.encode(), "text/html; charset=utf-8")
        answer.headers["content-disposition"] = "attachment; filename=report.html"
        return answer

    def _name(self, request: Request) -> str:
        return str(request.query_params.get("run", ""))


def _names() -> list[str]:
    found = [entry.name for entry in _pages().iterdir()]
    return [name for name in found if "." in name and name[name.rindex(".") :] in _TYPES]


def _pages() -> Any:
    return resources.files("chainrule.insight") / "pages"


def _packaged(name: str) -> bytes:
    content: bytes = (_pages() / name).read_bytes()
    return content


@functools.cache
def _plotly() -> tuple[str, Callable[[], bytes]]:
    """Return the version of Plotly's JavaScript, and what reads it."""
    from plotly.offline import get_plotlyjs, get_plotlyjs_version

    return str(get_plotlyjs_version()), functools.cache(lambda: get_plotlyjs().encode())
