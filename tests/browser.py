"""Pages in headless Chromium, where there is one; tests skip where there is none."""

from __future__ import annotations

import contextlib
import shutil
import threading

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def chromium():
    """Return the path of a browser, or skip."""
    pytest.importorskip("playwright", reason="needs playwright")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or pytest.skip("no Chromium is installed")


@contextlib.contextmanager
def browser():
    """Give a browser that was started for this."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Without its sandbox: in a container it cannot have one.
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def tab(found, width=1400, language="en", **more):
    """Give a page; what it says on its console beyond information fails the test."""
    locale = {"zh": "zh-CN"}.get(language, "en-US")
    size = {"width": width, "height": 900}
    context = found.new_context(viewport=size, locale=locale, **more)
    page, said = context.new_page(), []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_default_timeout(60_000)
    try:
        yield page
        assert not said, said
    finally:
        context.close()


@contextlib.contextmanager
def served(app):
    """Serve an application from this process; give its address."""
    import uvicorn

    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    listening.listen()  # who comes before the server runs waits
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
