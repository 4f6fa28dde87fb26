"""The dashboard: what it answers, whom it lets in, and that training does not notice it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs starlette")
pytest.importorskip("uvicorn", reason="needs uvicorn")
pytest.importorskip("plotly", reason="needs plotly")
pytest.importorskip("httpx2", reason="needs httpx2")

from starlette.testclient import TestClient

from browser import browser, served, tab
from chainrule.callbacks import Callback, RunRecorder
from chainrule.errors import ArgumentError, FileError, MissingDependencyError
from chainrule.insight import access, control, dashboard
from chainrule.insight.access import Door
from chainrule.insight.collection import NoRunError, Runs
from chainrule.layers import Dense, Input
from chainrule.models import Sequential
from chainrule.utils import set_random_seed
from commands import call, refused_in_one_line
from sample_runs import make_run

PAGES = resources.files("chainrule.insight") / "pages"
WORDS = json.loads((PAGES / "words.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder of runs that no test changes."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "one")
    make_run(folder / "two", "regression", statistics=False)
    make_run(folder / "sweep" / "three", "texts", state="interrupted", findings=True)
    return folder


@pytest.fixture(scope="module")
def app(kept):
    return dashboard.make_app(kept)


@pytest.fixture
def client(app):
    return TestClient(app, base_url="http://localhost:8765")


def visitor(folder, **more):
    return TestClient(dashboard.make_app(folder, **more), base_url="http://localhost:8765")


# What it answers


@pytest.mark.parametrize("path", ["/", "/run?run=one", "/compare?run=one&run=two"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_are_in_the_language_asked_for(client, path, language):
    answer = client.get(f"{path}{'&' if '?' in path else '?'}language={language}")
    assert answer.status_code == 200
    assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in answer.text
    assert WORDS[language]["runs"] in answer.text


def test_the_language_is_kept_else_given_else_what_the_browser_likes(kept):
    chinese = '<html lang="zh-CN">'
    one = visitor(kept)
    assert chinese not in one.get("/").text
    assert chinese in one.get("/", headers={"accept-language": "fr, zh-TW;q=0.8, en"}).text
    one.get("/?language=zh")
    assert chinese in one.get("/").text
    assert chinese in visitor(kept, language="zh").get("/").text


def test_the_list_has_all_runs(client):
    found = client.get("/api/runs").json()
    assert {run["name"]: run["state"] for run in found["runs"]} == {
        "one": "finished",
        "two": "finished",
        "sweep/three": "interrupted",
    }
    one = next(run for run in found["runs"] if run["name"] == "one")
    assert one["epochs"] == 6 and one["model"]["parameters"] > 0
    assert found["labels"]["loss"] == "loss" and found["left_out"] == 0


def test_a_run_is_told_with_names_in_words(client):
    found = client.get("/api/run?run=one&language=zh").json()
    assert found["state"] == "finished" and found["labels"]["val_loss"] == "验证损失"
    assert {"loss", "val_loss"} <= set(found["logs"]) and found["best"]["epoch"] >= 0


def test_the_sections_are_those_of_the_report(client):
    found = client.get("/api/sections?run=one").json()
    keys = [section["key"] for section in found["sections"]]
    assert {"verdict", "learning", "gradients", "updates", "answers", "network"} <= set(keys)
    text = client.get("/report?run=one")
    assert "attachment" in text.headers["content-disposition"]
    for key in keys:
        assert f'<section id="{key}">' in text.text
    asked = re.findall(r'data-figure="(\d+)"', "".join(s["html"] for s in found["sections"]))
    assert [*map(int, asked)] == [*range(len(found["figures"]))]


def test_runs_are_compared(client):
    found = client.get("/api/compare?run=one&run=sweep/three&run=gone&metric=accuracy").json()
    assert [run["name"] for run in found["runs"]] == ["one", "sweep/three"]
    assert found["metric"] == "accuracy" and found["left_out"] == 0
    called = [t["name"] for t in found["figure"]["data"] if t.get("showlegend", True)]
    assert called == ["one", "sweep/three"] and len(found["figure"]["data"]) == 6
    assert all(row["values"][0] != row["values"][1] for row in found["differences"])
    assert found["differences"] and found["runs"][0]["best"] > 0
    other = client.get("/api/compare?run=one&run=two&metric=nothing").json()
    assert other["metric"] == "loss"
    none = client.get("/api/compare").json()
    assert none["runs"] == [] and none["figure"] is None


@pytest.mark.parametrize("path", ["runs", "run?run=one", "sections?run=one", "compare?run=one"])
def test_what_is_known_is_not_sent_again(kept, path):
    client = visitor(kept)
    first = client.get(f"/api/{path}")
    again = {"if-none-match": first.headers["etag"]}
    assert client.get(f"/api/{path}", headers=again).status_code == 304
    (kept / "one" / "status.json").touch()
    if path != "runs":
        assert client.get(f"/api/{path}", headers=again).status_code == 200


def test_a_run_is_read_while_its_last_line_is_half_written(tmp_path):
    run = make_run(tmp_path / "run", state="running", epochs=2)
    client = visitor(tmp_path)
    before = client.get("/api/sections?run=run").json()
    line = json.dumps({"event": "epoch", "time": 30, "epoch": 2, "step": 150, "seconds": 9,
                       "learning_rate": 0.01, "logs": {"loss": 0.1, "accuracy": 0.5}})  # fmt: skip
    with open(run / "events.jsonl", "a") as file:
        file.write(line[:40])
        file.flush()
        assert client.get("/api/sections?run=run").json() == before
        file.write(line[40:] + "\n")
        file.flush()
        after = client.get("/api/sections?run=run").json()
    assert after["figures"][0]["data"][0]["x"] == [1, 2, 3]
    (run / "status.json").write_text('{"state": "runn')
    (run / "events.jsonl").write_text("[[[[\n{}\n")
    for path in ("runs", "run?run=run", "sections?run=run", "compare?run=run"):
        assert client.get(f"/api/{path}").status_code in (200, 500)


def test_a_run_that_is_removed_is_gone_and_nothing_else(tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    client = visitor(tmp_path)
    assert client.get("/api/run?run=a").status_code == 200
    client.get("/api/sections?run=a")
    shutil.rmtree(tmp_path / "a")
    for path in ("/api/run", "/api/sections", "/report"):
        assert client.get(f"{path}?run=a").status_code == 404
    assert [run["name"] for run in client.get("/api/runs").json()["runs"]] == ["b"]
    assert [r["name"] for r in client.get("/api/compare?run=a&run=b").json()["runs"]] == ["b"]
    shutil.rmtree(tmp_path)
    time.sleep(1.1)  # a list holds for a second
    assert client.get("/api/runs").json()["runs"] == []


def test_a_folder_may_be_made_later_or_be_a_run_itself(tmp_path):
    client = visitor(tmp_path / "runs")
    assert client.get("/api/runs").json()["runs"] == []
    run = make_run(tmp_path / "runs" / "first")
    time.sleep(1.1)
    assert [one["name"] for one in client.get("/api/runs").json()["runs"]] == ["first"]
    alone = visitor(run)
    assert [one["name"] for one in alone.get("/api/runs").json()["runs"]] == ["first"]
    assert alone.get("/api/run?run=first").status_code == 200


def test_plotly_is_served_from_here(client):
    (name,) = set(re.findall(r"plotly-[0-9.]+\.js", client.get("/").text))
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200 and len(answer.content) > 1e6
    again = client.get(f"/static/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


# Words


def test_both_languages_have_the_same_words():
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    gaps = re.compile(r"\{(\w+)\}")
    for key, text in WORDS["en"].items():
        if key != "_page":
            assert sorted(gaps.findall(text)) == sorted(gaps.findall(WORDS["zh"][key])), key


def test_all_words_are_there_and_used():
    code = "".join(p.read_text() for p in PAGES.iterdir() if p.name.endswith(".js"))
    used = set(re.findall(r'\bt\("(\w+)"', code))
    used |= {f"state_{s}" for s in ("running", "paused", "finished", "interrupted", "failed")}
    used |= {f"did_{command}" for command in ("pause", "resume", "stop")} | {"did_lower"}
    used |= {"epochs", "elapsed", "pause", "resume", "has_ended", "refused", "_page", "title"}
    assert used == WORDS["en"].keys()


# Whom it lets in


@pytest.mark.parametrize(
    ("host", "name", "let"),
    [
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "localhost:8765", True),
        ("127.0.0.1", "LOCALHOST.:80", True),
        ("127.0.0.1", "127.0.0.1:9", True),
        ("127.0.0.1", "[::1]:9", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "192.168.1.5", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "localhost:8765@evil.example", False),
        ("127.0.0.1", "localhost:123456", False),
        ("127.0.0.1", "localhost\tx", False),
        ("0.0.0.0", "192.168.1.5:8765", True),
        ("0.0.0.0", "localhost", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("gpu7.lab.example", "gpu7.lab.example", True),
    ],
)
def test_it_answers_to_its_own_names_only(host, name, let):
    assert Door(host).answers_to(name) == let


def test_requests_by_another_name_are_refused(client):
    for path in ("/", "/api/runs", "/static/dashboard.js", "/api/run?run=one"):
        assert client.get(path, headers={"host": "evil.example"}).status_code == 403
        assert client.get(path, headers={"host": ""}).status_code == 403
    two = [("host", "localhost"), ("host", "evil.example")]
    assert client.request("GET", "/", headers=two).status_code in (400, 403)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 409),
        ({"origin": "http://localhost:8765"}, 409),
        ({"origin": "http://localhost:8765", "sec-fetch-site": "same-origin"}, 409),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
    ],
    ids=str,
)
def test_commands_come_from_its_own_pages_only(client, headers, status):
    answer = client.post("/api/command?run=one", json={"command": "pause"}, headers=headers)
    assert answer.status_code == status


def test_other_pages_may_link_to_it_but_not_read_it(client):
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}):
        assert client.get("/api/runs", headers=headers).status_code == 403
    answer = client.get("/api/runs")
    assert "access-control-allow-origin" not in answer.headers
    assert client.options("/api/runs").status_code == 405
    assert client.put("/api/runs").status_code == 405


def test_every_answer_says_what_a_browser_must_not_do(client):
    paths = ("/", "/api/runs", "/static/dashboard.js", "/nothing", "/api/run?run=gone")
    answers = [client.get(path) for path in paths]
    answers.append(client.get("/", headers={"host": "evil.example"}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_beyond_this_machine_a_token_is_needed(kept, monkeypatch):
    compared = []
    right = access.hmac.compare_digest
    monkeypatch.setattr(
        access.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or right(a, b)
    )
    door = Door("0.0.0.0", "s3cret")
    app = dashboard.make_app(kept, door)
    client = TestClient(app, base_url="http://10.0.0.7:8765", follow_redirects=False)
    for path in ("/", "/api/runs", "/static/dashboard.js", "/?token=", "/?token=s3cre"):
        assert client.get(path).status_code == 401
    assert client.post("/api/command?run=one", json={"command": "stop"}).status_code == 401
    wrong = [{"authorization": "Bearer no"}, {"cookie": f"{door.cookie}=no"}, {"cookie": "="}]
    for headers in wrong:
        assert client.get("/", headers=headers).status_code == 401
    bearer = {"authorization": "Bearer s3cret"}
    assert client.get("/api/runs", headers=bearer).status_code == 200
    assert compared and all(isinstance(a, bytes) for pair in compared for a in pair)

    answer = client.get("/run?run=one&token=s3cret")
    assert answer.status_code == 303 and answer.headers["location"] == "/run?run=one"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert client.get("/api/runs").status_code == 200  # the cookie was kept
    assert "s3cret" not in client.get("/").text


OTHERS = ['prefs={"x":1}', "path=/x", "flag", "consent=a b", 'n="a,b"', "name=名", "=", ";;"]


@pytest.mark.parametrize("other", OTHERS)
def test_cookies_of_other_servers_lock_nobody_out(kept, other):
    door = Door("0.0.0.0", "s3cret")
    client = TestClient(dashboard.make_app(kept, door), base_url="http://10.0.0.7:8765")
    for cookies in (f"{other}; {door.cookie}=s3cret", f"{door.cookie}=s3cret; {other}"):
        assert client.get("/api/runs", headers={"cookie": cookies.encode()}).status_code == 200
    wrong = f"{other}; {door.cookie}=no; other=s3cret"
    assert client.get("/api/runs", headers={"cookie": wrong.encode()}).status_code == 401


def test_requests_never_wait_for_a_name_server(kept, monkeypatch):
    app = dashboard.make_app(kept, Door("0.0.0.0", "s3cret"))
    for name in ("getfqdn", "gethostname", "getaddrinfo"):
        monkeypatch.setattr(access.socket, name, lambda *_: pytest.fail("asked for a name"))
    client = TestClient(app, base_url="http://10.0.0.7:8765")
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403


def test_the_way_back_leads_nowhere_else(kept):
    app = dashboard.make_app(kept, Door("0.0.0.0", "s3cret"))
    client = TestClient(app, base_url="http://10.0.0.7", follow_redirects=False)
    for path in ("//evil.example/", "/\\evil.example", "/%0d%0aset-cookie:x=1", "/%E4%B8%AD"):
        answer = client.get(f"http://10.0.0.7{path}?token=s3cret")
        assert answer.status_code == 303
        where = answer.headers["location"]
        assert where.startswith("/") and where[1:2] not in ("/", "\\") and "\n" not in where


def test_tokens_are_long_and_new_and_for_others_only(monkeypatch, tmp_path, capsys):
    made = []
    monkeypatch.setattr(dashboard, "_run", lambda app, listening: made.append(app.door))
    for host in ("0.0.0.0", "0.0.0.0", "127.0.0.1", "localhost"):
        dashboard.serve(tmp_path, host, port=0)
    tokens = [door.token for door in made]
    assert tokens[2:] == [None, None] and tokens[0] != tokens[1]
    assert min(map(len, tokens[:2])) >= 43  # 256 bits
    assert made[0].cookie != made[1].cookie
    said = capsys.readouterr().out
    assert f"?token={tokens[0]}" in said and said.count("?token=") == 2


# Nothing but runs


OUTSIDE = ["..", "../secret", "/etc", "a/../../secret", "%2e%2e/secret", "", ".", "a\0b", "a" * 500]


@pytest.mark.parametrize("name", OUTSIDE, ids=repr)
def test_names_of_runs_are_never_paths(tmp_path, name):
    make_run(tmp_path / "secret")
    make_run(tmp_path / "runs" / "a")
    client = visitor(tmp_path / "runs")
    for path in ("/api/run", "/api/sections", "/report"):
        assert client.get(path, params={"run": name}).status_code == 404
    stop = {"command": "stop"}
    assert client.post("/api/command", params={"run": name}, json=stop).status_code == 404
    assert client.get("/api/compare", params={"run": name}).json()["runs"] == []


@pytest.mark.parametrize("name", ["../record.py", "..%2frecord.py", "words.json", "dashboard.html"])
def test_files_of_pages_are_those_alone(client, name):
    assert client.get(f"/static/{name}").status_code == 404


def test_links_do_not_lead_out_of_the_folder(tmp_path):
    runs = tmp_path / "runs"
    make_run(tmp_path / "outside")
    make_run(runs / "a")
    (runs / "out").symlink_to(tmp_path / "outside")
    (runs / "in").symlink_to(runs / "a")
    (runs / "up").symlink_to(runs)
    (runs / "broken").symlink_to(runs / "nothing")
    names = {run["name"] for run in visitor(runs).get("/api/runs").json()["runs"]}
    assert {"a", "in"} <= names and "out" not in names


def test_what_is_no_plain_file_is_no_record(tmp_path):
    for name, file in (("x", "run.json"), ("y", "events.jsonl"), ("z", "status.json")):
        make_run(tmp_path / name)
        (tmp_path / name / file).unlink()
        os.mkfifo(tmp_path / name / file)
    make_run(tmp_path / "link")
    (tmp_path / "secret").write_text('{"event": "epoch", "epoch": 0, "logs": {"secret": 1}}\n')
    (tmp_path / "link" / "events.jsonl").unlink()
    (tmp_path / "link" / "events.jsonl").symlink_to(tmp_path / "secret")
    make_run(tmp_path / "large")
    with open(tmp_path / "large" / "run.json", "ab") as file:
        file.truncate(17 << 20)
    client = visitor(tmp_path)
    assert client.get("/api/runs").json()["runs"] == []  # and it waits for nobody
    assert client.get("/api/run?run=link").status_code == 404


def test_many_runs_are_cut(tmp_path, monkeypatch):
    from chainrule.insight import collection

    monkeypatch.setattr(collection, "MOST", 2)
    for name in "abc":
        make_run(tmp_path / name, epochs=1, statistics=False)
    found = Runs(tmp_path).overview()
    assert len(found["runs"]) == 2 and found["left_out"] == 1


def test_few_records_are_kept_in_memory(tmp_path, monkeypatch):
    from chainrule.insight import collection

    monkeypatch.setattr(collection, "_OPEN", 1)
    for name in "ab":
        make_run(tmp_path / name, epochs=1, statistics=False)
    runs = Runs(tmp_path)
    for name in "abab":
        assert runs.with_record(name, lambda record: record.name) == name
    assert len(runs._records) == 1


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ('{"command": "pause"}', "text/plain", 415),
        ('{"command": "pause"}', "application/x-www-form-urlencoded", 415),
        ('{"command": "pause"}', "", 415),
        (" " * 5000, "application/json", 413),
        ("{", "application/json", 400),
        ("[" * 4000, "application/json", 400),
        ("[]", "application/json", 400),
        ("3", "application/json", 400),
        ('{"command": "rm"}', "application/json", 400),
        ('{"command": "learning_rate", "factor": 2}', "application/json", 400),
        ('{"command": "learning_rate", "factor": NaN}', "application/json", 400),
        ('{"command": "pause"}', "application/json", 409),
    ],
)
def test_commands_are_checked(kept, client, content, kind, status):
    before = sorted(p.name for p in (kept / "one").iterdir())
    headers = {"content-type": kind}
    answer = client.post("/api/command?run=one", content=content, headers=headers)
    assert answer.status_code == status and "error" in answer.json()
    assert sorted(p.name for p in (kept / "one").iterdir()) == before


def test_queries_are_not_endless(client):
    assert client.get("/api/run", params={"run": "a" * 20_000}).status_code == 400


def test_twelve_runs_of_long_names_are_compared_and_more_are_told(tmp_path):
    names = [f"手写数字识别-卷积网络-学习率0.01-批次32-第{n:02d}次" for n in range(13)]
    for name in names:
        make_run(tmp_path / name, epochs=1, statistics=False)
    client = visitor(tmp_path)
    found = client.get("/api/compare", params={"run": names}).json()
    assert [run["name"] for run in found["runs"]] == names[:12] and found["left_out"] == 1
    shown = [t["name"] for t in found["figure"]["data"] if t.get("showlegend", True)]
    assert len({*shown}) == 12


def test_a_command_reaches_a_run_that_listens_and_no_other_file(tmp_path):
    run = make_run(tmp_path / "run", state="running")
    client = visitor(tmp_path)
    pause = {"command": "pause"}
    assert client.post("/api/command?run=run", json=pause).status_code == 409  # nobody listens
    listens = control.Control(run)
    listens.begin()
    files = {p: p.read_bytes() for p in run.iterdir() if p.name != control.FILE}
    assert client.post("/api/command?run=run", json=pause).status_code == 202
    lower = {"command": "learning_rate", "factor": 0.5, "more": "x"}
    assert client.post("/api/command?run=run", json=lower).status_code == 202
    assert listens.commands() == [pause, {"command": "learning_rate", "factor": 0.5}]
    assert {p: p.read_bytes() for p in run.iterdir() if p.name != control.FILE} == files


# Starting it


def test_a_taken_port_is_told_in_one_line_and_the_usual_one_passed_over(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ArgumentError, match=f"port {port}.*\n  fix: .*--port"):
            dashboard._listening("127.0.0.1", port)
        monkeypatch.setattr(dashboard, "PORT", port)
        with dashboard._listening("127.0.0.1", None) as other:
            assert other.getsockname()[1] != port
    with pytest.raises(ArgumentError, match="from 0 to 65535"):
        dashboard._listening("127.0.0.1", 70_000)
    with pytest.raises(ArgumentError, match="no name or address"):
        dashboard._listening("nowhere.invalid", None)


@pytest.mark.parametrize("package", ["starlette", "plotly"])
def test_a_missing_package_is_told_with_its_mending(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'chainrule\[insight\]'"):
        dashboard.make_app(tmp_path)
    assert "chainrule[insight]" in refused_in_one_line("dashboard", tmp_path)


def test_the_command_says_what_it_takes():
    text = call("dashboard", "--help")
    assert all(name in text for name in ("[RUNS]", "--host", "--port", "--language"))


# In a browser


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.mark.parametrize(("width", "language"), [(1400, "en"), (400, "zh")])
def test_a_person_clicks_through_all_pages(chromium, kept, width, language):
    word = WORDS[language]
    with served(dashboard.make_app(kept)) as address, tab(chromium, width, language) as page:
        page.goto(address)
        page.locator(".run").nth(2).wait_for()
        assert page.title() == f"{word['runs']} · chainrule"
        for box in page.locator(".run input").all():
            box.check()
        narrow(page)
        page.get_by_role("link", name=word["compare_some"].format(count=3)).click()
        page.locator(".chart[data-drawn]").wait_for()
        assert page.locator("#fewer").is_hidden()
        assert page.locator("#ends tbody tr").count() == 3
        page.locator("#metric").select_option("accuracy")
        page.wait_for_url("**metric=accuracy")
        page.locator(".legendtext", has_text="one").first.wait_for()
        narrow(page)
        page.locator("#ends a", has_text="one").click()
        click_through_run(page, word)
        page.locator("#language").click()
        other = WORDS["en" if language == "zh" else "zh"]
        page.get_by_role("link", name=other["report"]).wait_for()
        assert page.locator("h1").inner_text().startswith("one")
        page.locator(".brand").click()
        page.get_by_role("heading", name=other["runs"]).wait_for()


def narrow(page):
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def click_through_run(page, word):
    page.locator("#verdict .headline").wait_for()
    assert word["state_finished"] in page.locator("#state").inner_text()
    assert page.locator("#pause").is_hidden()
    assert page.locator("#said").inner_text() == word["has_ended"]
    charts = page.locator("#sections .chart")
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        page.wait_for_function("chart => chart.dataset.drawn", arg=chart.element_handle())
    assert charts.count() > 8
    narrow(page)
    page.locator("#sections nav a").last.click()
    assert page.url.endswith("#repeat")
    with page.expect_download() as download:
        page.locator("#report").click()
    assert "<!DOCTYPE html>" in Path(download.value.path()).read_text("utf-8")[:200]


NETWORK = """
    import sys, time, numpy as np
    sys.path.insert(0, {tests!r})
    import test_dashboard as t
    class Slow(t.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.005)
    model = t.network()
    recorder = t.RunRecorder(sys.argv[1])
    model.fit(t.X, t.Y, batch_size=8, epochs=1000, verbose=0, validation_data=(t.X, t.Y),
              callbacks=[recorder, Slow()])
    print("ended", model.stop_training, float(model.optimizer.learning_rate), flush=True)
"""


@pytest.fixture
def live(tmp_path):
    """A run in another process."""
    code = textwrap.dedent(NETWORK.format(tests=os.path.dirname(__file__)))
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "live")], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


def test_a_live_run_is_watched_paused_slowed_and_stopped_from_its_page(chromium, live, tmp_path):
    word = WORDS["en"]
    with served(dashboard.make_app(tmp_path)) as address, tab(chromium) as page:
        page.goto(address)
        page.get_by_role("link", name="live").click()  # it appears by itself
        state = page.locator("#state")
        state.get_by_text(word["state_running"]).wait_for()
        moves(page)
        # With another epoch the chart grows, and what was zoomed into stays so.
        chart = page.locator("#learning .chart").first
        chart.locator(".xtick").first.wait_for(state="attached")
        points = "document.querySelector('#learning .chart').data[0].x.length"
        first = page.evaluate(points)
        page.wait_for_function(f"() => {points} > {first}")

        page.locator("#pause").click()
        state.get_by_text(word["state_paused"]).wait_for()
        page.get_by_role("button", name=word["resume"]).wait_for()
        still = page.locator(".now").inner_text()
        page.wait_for_timeout(1500)
        assert page.locator(".now").inner_text() == still

        page.locator("#pause").click()
        state.get_by_text(word["state_running"]).wait_for()
        lower = page.locator(".lower").first
        page.wait_for_function("button => !button.disabled", arg=lower.element_handle())
        assert lower.get_attribute("title") == "from 0.001 to 5e\u22124"
        lower.click()
        told = "learning rate lowered from 0.001 to 5e\u22124"
        page.locator("#commands li", has_text=told).wait_for()
        assert page.locator("#commands li").count() == 3

        page.wait_for_function("() => !document.getElementById('stop').disabled")
        page.locator("#stop").click()
        page.locator("#no").click()
        assert page.locator("#sure").is_hidden()
        page.locator("#stop").click()
        page.locator("#yes").click()
        state.get_by_text(word["state_finished"]).wait_for()
        assert live.stdout.readline() == "ended True 0.0005\n"
        assert page.locator("#pause").is_hidden()
        page.locator("#answers .chart").first.wait_for()  # what is measured at the end


def moves(page):
    """Numbers change without the page being loaded again."""
    page.evaluate("window.same = true")
    before = page.locator(".now").inner_text()
    page.wait_for_function(
        "before => document.querySelector('.now').innerText !== before", arg=before
    )
    assert page.evaluate("window.same")


def test_a_page_outlives_its_run_and_its_server(chromium, tmp_path):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", state="running")
    context = chromium.new_context()
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    with served(dashboard.make_app(tmp_path)) as address:
        page.goto(f"{address}/run?run=a")
        page.locator("#verdict").wait_for()
        shutil.rmtree(tmp_path / "a")
        page.locator("#gone").wait_for()
        page.locator("#gone a").click()
        page.locator(".run").wait_for()
        assert page.locator(".run").count() == 1
        make_run(tmp_path / "c")
        page.locator(".run", has_text="c").nth(0).wait_for()
        shutil.rmtree(tmp_path / "b")
        page.locator('[data-run="b"]').wait_for(state="detached")
    page.locator("#connection.lost").wait_for()
    assert page.locator(".run").count() == 1  # what was known stays to be read
    context.close()
    assert not wrong


def retell(run, **told):
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, **told}))


def test_progress_is_that_of_the_epochs_that_ran(chromium, tmp_path):
    retell(make_run(tmp_path / "stopped", epochs=3, statistics=False), epochs=200)
    make_run(tmp_path / "whole", epochs=3, statistics=False)
    within = make_run(tmp_path / "within", epochs=3, statistics=False, state="running")
    retell(within, epoch=1, batch=50, epochs=4)  # its second epoch is validated now
    expected = {
        "stopped": ("epoch 3 of 200", 3 / 200),
        "whole": ("epoch 3 of 3", 1),
        "within": ("epoch 2 of 4", 0.5),
    }
    with served(dashboard.make_app(tmp_path)) as address, tab(chromium) as page:
        page.goto(address)
        for name, (said, share) in expected.items():
            done = page.locator(f'[data-run="{name}"] .done')
            assert done.inner_text() == said
            assert done.locator("progress").evaluate("bar => bar.value") == pytest.approx(share)
        page.goto(f"{address}/run?run=stopped")
        page.locator(".now .done").get_by_text("epoch 3 of 200").wait_for()


def test_what_was_chosen_from_a_menu_stays_chosen(chromium, tmp_path):
    run = make_run(tmp_path / "live", state="running")
    events = (run / "events.jsonl").read_text().splitlines()
    look = next(e for line in reversed(events) if (e := json.loads(line))["event"] == "look")
    shown = "e => [e.data.findIndex(trace => trace.visible), e.layout.updatemenus[0].active]"
    axis = "e => e.layout.yaxis.range"
    with served(dashboard.make_app(tmp_path)) as address, tab(chromium) as page:
        page.goto(f"{address}/run?run=live")
        page.locator("#histograms").scroll_into_view_if_needed()
        chart = page.locator("#histograms .chart:has(.updatemenu-header)").first
        chart.locator(".updatemenu-header").click()
        chart.locator(".updatemenu-dropdown-button").nth(1).click()
        assert chart.evaluate(shown) == [1, 1]
        header = chart.locator(".updatemenu-header")
        before, menu = chart.evaluate(axis), header.text_content()
        with open(run / "events.jsonl", "a") as file:
            file.write(json.dumps({**look, "step": look["step"] + 30}) + "\n")
        ticks = "e => e.layout.xaxis.ticktext.at(-1)"
        last = chart.evaluate(ticks)
        page.wait_for_function(f"([e, last]) => ({ticks})(e) !== last",
                               arg=[chart.element_handle(), last])  # fmt: skip
        assert chart.evaluate(shown) == [1, 1] and chart.evaluate(axis) == before
        assert menu == header.text_content() == "hidden.kernel"


def test_more_runs_than_can_be_compared_are_told(chromium, tmp_path):
    for n in range(13):
        make_run(tmp_path / f"run{n:02d}", epochs=1, statistics=False)
    query = "&".join(f"run=run{n:02d}" for n in range(13))
    with served(dashboard.make_app(tmp_path)) as address, tab(chromium, 400) as page:
        page.goto(f"{address}/compare?{query}")
        page.locator(".chart[data-drawn]").wait_for()
        assert page.locator("#fewer").inner_text() == WORDS["en"]["compared"].format(
            shown=12, count=1
        )
        heights = "() => document.querySelector('.chart')._fullLayout._size.h"
        assert page.evaluate(heights) > 180


def test_names_do_no_harm(chromium, tmp_path):
    name = "<img src=x onerror=alert(1)> & '\"名 {name}"
    make_run(tmp_path / name)
    make_run(tmp_path / "<" / "script><script>alert(2)<!--")  # it is called </script>...
    with served(dashboard.make_app(tmp_path)) as address, tab(chromium) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.goto(address)
        page.locator(".run").nth(1).wait_for()
        for box in page.locator(".run input").all():
            box.check()
        page.locator(".head .button").click()
        page.locator(".chart[data-drawn]").wait_for()
        page.locator("#ends a", has_text="<img").click()
        page.locator("#verdict").wait_for()
        assert page.locator("h1").inner_text().startswith(name)
        assert not page.locator("img[src=x]").count()


def test_with_a_token_the_page_works_and_hides_it(chromium, kept):
    app = dashboard.make_app(kept, Door("0.0.0.0", "s3cret"))
    with served(app) as address, tab(chromium) as page:
        page.goto(f"{address}/?token=s3cret")
        page.locator(".run").first.wait_for()
        assert "s3cret" not in page.url
        assert "s3cret" not in page.evaluate("document.cookie")
        page.locator(".run a").first.click()
        page.locator("#verdict").wait_for()


# Training does not notice


def network():
    set_random_seed(5)
    model = Sequential([Input((16,)), Dense(32, activation="tanh"), Dense(4, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X = np.random.default_rng(1).standard_normal((256, 16)).astype("float32")
Y = np.random.default_rng(2).integers(0, 4, 256)


class Server:
    """The command in another process."""

    def __init__(self, folder, *options):
        arguments = [sys.executable, "-m", "chainrule", "dashboard", str(folder), "--port", "0"]
        self.process = subprocess.Popen(
            [*arguments, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.said = self.process.stdout.readline()
        self.port = int(re.search(r"http://[^:/]+:(\d+)/", self.said)[1])

    def get(self, path):
        there = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            there.request("GET", path)
            return there.getresponse().read()
        finally:
            there.close()

    def end(self, how=signal.SIGINT):
        self.process.send_signal(how)
        rest = self.process.communicate(timeout=30)[0]
        return self.process.returncode, rest


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path)
    yield found
    if found.process.poll() is None:
        found.end(signal.SIGKILL)


class Meddler(Callback):
    """Asks the server as a page does, and kills it in the middle of the run."""

    def __init__(self, server):
        self.server, self.asked = server, 0

    def interval(self):
        return 4

    def on_train_batch_end(self, batch, logs=None):
        if self.asked < 12:
            for path in ("/api/runs", "/api/run?run=watched", "/api/sections?run=watched"):
                self.server.get(path)
            self.asked += 1
            if self.asked == 12:
                self.server.end(signal.SIGKILL)


def test_a_run_that_is_watched_ends_with_the_same_bits_though_the_server_is_killed(
    tmp_path, server
):
    options = {"batch_size": 8, "epochs": 4, "verbose": 0, "validation_data": (X, Y)}
    plain, watched = network(), network()
    before = plain.fit(X, Y, **options).history
    meddler = Meddler(server)
    record = RunRecorder(tmp_path / "watched")
    after = watched.fit(X, Y, **options, callbacks=[record, meddler]).history
    assert meddler.asked == 12 and meddler.server.process.returncode == -signal.SIGKILL
    assert after == before
    for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert Runs(tmp_path).with_record("watched", lambda record: record.state) == "finished"


def test_the_server_ends_in_order_by_ctrl_c(server):
    assert b"runs" in server.get("/api/runs")
    assert "Ctrl-C" in server.said
    status, rest = server.end()
    assert status == 0 and "Traceback" not in rest


def test_a_killed_run_is_not_taken_for_one_that_goes_on(tmp_path):
    run = make_run(tmp_path / "run", state="running")
    status = json.loads((run / "status.json").read_text())
    other = subprocess.Popen([sys.executable, "-c", "pass"])
    other.wait()
    (run / "status.json").write_text(json.dumps({**status, "pid": other.pid}))
    client = visitor(tmp_path)
    assert client.get("/api/run?run=run").json()["state"] == "interrupted"
    control.Control(run).begin()
    command = {"command": "pause"}
    assert client.post("/api/command?run=run", json=command).status_code == 409
    with pytest.raises(NoRunError):
        Runs(tmp_path).send("run", command)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"port": "x"}, ArgumentError, "port is 'x'; expected a number"),
        ({"port": 8.5}, ArgumentError, "port is 8.5; expected a number"),
        ({"host": 5}, ArgumentError, "host is 5; expected a name"),
        ({"language": "de"}, ArgumentError, "unknown language 'de'"),
        ({"folder": __file__}, FileError, "is a file; expected a folder"),
    ],
)
def test_arguments_that_cannot_be_are_told_at_once(tmp_path, given, error, words):
    with pytest.raises(error, match=words):
        dashboard.serve(**{"folder": tmp_path, **given})
