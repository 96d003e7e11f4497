"""Who the review page answers, asked over a real socket by a client that says whatever it likes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")

from cityguessr_data.review.security import HEADERS, Sessions
from tests.support_review import SURE, Client, served, told, write_reviewed

PAGES = ("/", f"/clip/{SURE}", f"/label/{SURE}", "/done", f"/frame/{SURE}/0.jpg", "/nowhere")
EVERYWHERE = (*PAGES, "/static/review.css", "/static/nothing", "/open/wrong", "/show")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviewed(tmp_path_factory.mktemp("security") / "out")


@pytest.fixture(scope="module")
def keeper(out: Path) -> Iterator[Client]:
    with served(out) as link:
        yield Client(link).enter()


def test_the_link_opens_the_page_once(keeper: Client) -> None:
    again = Client(keeper.link).ask("GET", "/" + keeper.link.split("/", 3)[3])
    assert again.status == 403 and "used before" in again.text
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("token", ["wrong", "%00", "..", "a" * 5000, "%C3%A9"])
def test_a_wrong_token_opens_nothing(keeper: Client, token: str) -> None:
    answer = Client(keeper.link).get(f"/open/{token}")
    assert answer.status in (403, 404) and "set-cookie" not in answer.headers


def test_the_cookie_is_kept_from_scripts_and_other_sites(out: Path, keeper: Client) -> None:
    link = keeper.post("/invite", reviewer="guest").json["link"]
    told = Client(link).ask("GET", "/" + link.split("/", 3)[3]).headers["set-cookie"].lower()
    assert told.startswith(f"cgtool-review-{keeper.host.split(':')[1]}=")
    assert "httponly" in told and "samesite=strict" in told and "domain" not in told


def test_looking_ahead_does_not_use_a_link_up(keeper: Client) -> None:
    link = keeper.post("/invite", reviewer="guest").json["link"]
    path = "/" + link.split("/", 3)[3]
    assert Client(link).ask("HEAD", path).status == 405
    assert Client(link).get(path, sec_purpose="prefetch").status == 405
    assert Client(link).get(path).status == 303


def test_a_link_on_another_site_lets_the_browser_in_without_a_redirect(keeper: Client) -> None:
    """A strict cookie is not sent along a redirect that another site began."""
    link = keeper.post("/invite", reviewer="guest").json["link"]
    answer = Client(link).get("/" + link.split("/", 3)[3], sec_fetch_site="cross-site")
    assert answer.status == 200 and 'url=/"' in answer.text and "set-cookie" in answer.headers


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "cookie", ["", "cgtool-review-{port}=wrong", "other=1", "\x7f=;;;", "cgtool-review-1={secret}"]
)
def test_nobody_without_the_cookie(keeper: Client, path: str, cookie: str) -> None:
    port, secret = keeper.host.split(":")[1], keeper.cookie.split("=")[1]
    answer = Client(keeper.link, cookie.format(port=port, secret=secret)).get(path)
    assert answer.status == 403 and "cgtool review" in answer.text
    assert SURE not in answer.text and answer.headers["content-type"].startswith("text/html")


def test_nothing_is_decided_without_the_cookie(out: Path, keeper: Client) -> None:
    before = told(out)
    assert Client(keeper.link).decide(SURE, "drop", 0).status == 403
    assert told(out) == before


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "", None]
)
def test_only_its_own_name_is_answered(keeper: Client, host: str | None) -> None:
    """Also the way in: a rebound name must not get hold of a cookie."""
    named = host if host is None else host.format(port=keeper.host.split(":")[1])
    link = keeper.post("/invite", reviewer="guest").json["link"]
    for path in ("/", "/" + link.split("/", 3)[3]):
        answer = keeper.get(path, host=named)
        assert answer.status in (400, 403) and "set-cookie" not in answer.headers, path


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_every_name_of_this_machine_is(keeper: Client, name: str) -> None:
    assert keeper.get("/", host=f"{name}:{keeper.host.split(':')[1]}").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "https://{host}"},
        {"origin": "http://{host}.evil.example"},
        {"origin": None},
        {"origin": None, "sec_fetch_site": "cross-site"},
        {"origin": None, "sec_fetch_site": "same-site"},
        {"origin": None, "sec_fetch_site": "none"},
        {"origin": "http://{host}", "sec_fetch_site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/decide", "/undo", "/invite", "/show", "/"])
def test_what_changes_something_comes_from_this_page(keeper: Client, headers: dict[str, str | None], path: str) -> None:
    said = {name: value and value.format(host=keeper.host) for name, value in headers.items()}
    answer = keeper.ask("POST", path, b"{}", **said)
    assert answer.status == 403 and "/open/" not in answer.text


def test_a_browser_may_say_same_origin_in_place_of_the_origin(keeper: Client) -> None:
    answer = keeper.ask("POST", "/undo", b'{"tab": "%s"}' % (b"f" * 32), origin=None, sec_fetch_site="same-origin")
    assert answer.status == 400 and "nothing left to take back" in answer.json["said"]


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("client", ["known", "unknown", "wrong host"])
def test_every_answer_has_the_policy(keeper: Client, path: str, client: str) -> None:
    cookie, host = (
        (keeper.cookie if client == "known" else ""),
        "evil.example" if client == "wrong host" else keeper.host,
    )
    headers = Client(keeper.link, cookie).get(path, host=host).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["cache-control"] == "no-store" and "server" not in headers


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b"{", b'"x"', b"\xff", b'{"tab": "' + b"a" * 70_000 + b'"}'])
def test_what_is_no_decision_is_refused_in_words(keeper: Client, out: Path, body: bytes) -> None:
    before = told(out)
    answer = keeper.ask("POST", "/decide", body)
    assert answer.status in (400, 413) and answer.status != 500
    assert told(out) == before


def test_a_form_of_another_site_cannot_send_json(keeper: Client) -> None:
    assert keeper.ask("POST", "/undo", b"{}", content_type="text/plain").status == 415


def test_the_server_listens_on_loopback_alone(keeper: Client) -> None:
    port = int(keeper.host.split(":")[1])
    with socket.socket() as other:  # 127.0.0.2 is this machine too, and is not answered
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", port)) != 0
    assert keeper.get("/").status == 200


def test_tokens_and_cookies_cannot_be_guessed() -> None:
    sessions = Sessions(1)
    links = {sessions.invite("keeper") for _ in range(50)}
    tokens = [link.rpartition("/")[2] for link in links]
    assert len(set(tokens)) == 50 and min(map(len, tokens)) >= 43  # 32 bytes
    secret = sessions.redeem(tokens[0])
    assert secret is not None and sessions.redeem(tokens[0]) is None
    assert (sessions.reviewer(secret), sessions.reviewer(""), sessions.reviewer(tokens[0])) == ("keeper", None, None)
