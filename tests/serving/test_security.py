"""What a visitor may not do, each tried over HTTP."""

from __future__ import annotations

import json

import pytest
import served
from served import Browser, notebook, text_of
from sqlalchemy import select

from course_lib.serving import command, protection, roster, students_pages
from course_lib.serving.database import students
from course_lib.serving.protection import Keys, Limit

PAGES = ("/", "/attempts/1", "/attempts/1/notebook", "/class", "/class/students", "/class/links.csv")


# --- another's files --------------------------------------------------------------------------------------------------


def test_guessed_numbers_of_attempts_show_nothing_of_another_student(klass):
    klass.browser("ada").hand_in(notebook())
    klass.grade(1, blocks=[{"kind": "note", "text": "for Ada alone"}])
    bo = klass.browser("bo")
    missing = bo.get("/attempts/999")
    for number in (*range(0, 20), 2**31, 2**63, 10**30, -1):
        for tail in ("", "/notebook"):
            found = bo.get(f"/attempts/{number}{tail}")
            assert found.status_code == 404 and "Ada" not in found.text
            # Another's attempt cannot be told from one that does not exist.
            assert found.text == missing.text
    assert "for Ada alone" in klass.browser("ada").get("/attempts/1").text
    assert "attempt 1" not in bo.get("/").text


@pytest.mark.parametrize("path", ["/class", "/class/students", "/class/links.csv", "/class/attempts", "/class/report",
                                  "/class/everything.zip", "/class/everything.zip?every=1"])  # fmt: skip
def test_a_student_finds_nothing_where_the_instructors_pages_are(klass, path):
    klass.browser("ada").hand_in(notebook())
    assert klass.browser("bo").get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [("/class/dates", {"unit": served.UNIT, "open": "2020-01-01"}), ("/class/regrade", {"attempt": "1"}),
     ("/class/link", {"student": "ada", "what": "revoke"}), ("/class/roster", {})],
)  # fmt: skip
def test_a_student_can_send_no_form_of_the_instructor(klass, path, fields):
    klass.browser("ada").hand_in(notebook())
    klass.grade(1)
    assert klass.browser("bo").send(path, **fields).status_code == 404
    assert klass.row(1)["state"] == "done" and not (klass.folder / "dates.csv").exists()
    assert klass.browser("ada").get("/").status_code == 200


def test_without_a_link_there_is_nothing_to_see(klass):
    klass.browser("ada").hand_in(notebook())
    for path in PAGES:
        answer = Browser(klass.app).get(path)
        assert answer.status_code == 403 and "Ada" not in answer.text, path
    assert Browser(klass.app).send("/hand-in", files={"notebook": ("x.ipynb", notebook())}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/style.css/../../secret",
        "/units/../serve.zip",
        "/static/serve.db",
        "/units/..%2Fserve.zip",
        "/units/%2e%2e/solutions",
        "/attempts/1%2f..%2f2",
    ],
)
def test_no_path_leads_out(klass, path):
    answer = klass.browser("ada").client.get(path, follow_redirects=False)
    assert answer.status_code in (404, 405) and klass.room.secret not in answer.text


# --- links ------------------------------------------------------------------------------------------------------------


def test_a_link_that_was_taken_back_locks_out_also_those_who_are_in(klass):
    browser, link = klass.browser("ada"), klass.link("ada")
    with klass.room.database.writing() as connection:
        roster.revoke(connection, roster.student_called(connection, "ada")["id"])
    assert browser.get("/").status_code == 403 and Browser(klass.app).get(link).status_code == 403
    with klass.room.database.writing() as connection:
        roster.renew(connection, roster.student_called(connection, "ada")["id"])
    assert Browser(klass.app).get(link).status_code == 403 and browser.get("/").status_code == 403
    assert Browser(klass.app).get(klass.link("ada")).status_code == 200


def test_the_instructors_link_can_be_changed_too(klass):
    before = klass.link("instructor")
    roster.instructors_mark(klass.room, renewed=True)
    assert Browser(klass.app).get(before).status_code == 403
    assert Browser(klass.app).get(klass.link("instructor")).status_code == 200


def test_a_link_that_we_did_not_sign_lets_nobody_in(klass):
    with klass.room.database.reading() as connection:
        ada = connection.execute(select(students).where(students.c.student == "ada")).mappings().one()
    good = klass.link("ada").removeprefix("/in/")
    forged = [
        Keys("another secret of the same length, forged").link(ada["id"], ada["mark"]),
        good[:-8] + ("A" if good[-8] != "A" else "B") + good[-7:],  # the last letter holds bits that count for nothing
        klass.web.keys.cookie(ada["id"], ada["mark"]),  # a cookie is not a link
        klass.web.keys.link(0, ""), klass.web.keys.link(0, ada["mark"]), klass.web.keys.link(99, ada["mark"]),
        "WzAsICIiXQ.x", "", ".", "a" * 5000, "%00", "[0]",
    ]  # fmt: skip
    for text in forged:
        assert Browser(klass.app).get(f"/in/{text}").status_code in (403, 404), text


def test_a_forged_cookie_lets_nobody_in(klass):
    link = klass.link("ada").removeprefix("/in/")
    for value in (link, "x", Keys("another secret of the same length, forged").cookie(1, "mark"), "a" * 5000):
        browser = Browser(klass.app)
        browser.client.cookies.set(protection.COOKIE, value)
        assert browser.get("/").status_code == 403


def test_links_are_tried_only_so_often(klass):
    klass.web.wrong_links = Limit(5, 60.0)
    guesses = [Browser(klass.app).get(f"/in/guess{number}").status_code for number in range(8)]
    assert guesses == [403] * 5 + [429] * 3
    # Those with a good link come in all the same: a whole class may share the address.
    assert klass.browser("bo").page.status_code == 200


def test_the_cookie_is_for_the_browser_alone(klass):
    answer = Browser(klass.app).client.get(klass.link("ada"), follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie and "secure" not in cookie
    assert answer.headers["location"] == "/"  # the link does not stay in the address
    secure = Browser(klass.app, "https://testserver").client.get(klass.link("ada"), follow_redirects=False)
    assert secure.headers["set-cookie"].startswith("__Host-") and "; secure" in secure.headers["set-cookie"].lower()
    assert "max-age=" in secure.headers["strict-transport-security"]


@pytest.mark.parametrize(("client", "believed"), [("127.0.0.1", True), ("192.0.2.7", False)])
def test_a_proxy_is_believed_only_on_this_machine(klass, client, believed):
    """What `--behind-proxy` puts around the application, with the same names of those it believes."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    app = ProxyHeadersMiddleware(klass.app, trusted_hosts=command.PROXIES)
    browser = Browser(app, client=(client, 50000))
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    answer = browser.client.get(klass.link("ada"), headers=headers, follow_redirects=False)
    assert ("; secure" in answer.headers["set-cookie"].lower()) is believed
    klass.web.wrong_links = Limit(1, 60.0)
    # Who guesses is counted by the address that the proxy tells, so a class behind it is not locked out with them.
    codes = [browser.client.get("/in/guess", headers={**headers, "X-Forwarded-For": f"203.0.113.{n}"}).status_code
             for n in range(3)]  # fmt: skip
    assert codes == ([403, 403, 403] if believed else [403, 429, 429])


def test_signing_out_takes_the_cookie_away(klass):
    browser = klass.browser("ada")
    assert browser.send("/out").status_code == 200
    assert browser.get("/").status_code == 403


# --- forms of another site --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "x", "nonsense" * 20, "ä"])
def test_a_form_without_our_word_changes_nothing(klass, word):
    ada = klass.browser("ada")
    assert ada.hand_in(notebook(), word=word).status_code == 403
    assert klass.files() == set() and klass.row(1) is None


def test_the_word_of_another_session_does_not_fit(klass):
    ada, bo = klass.browser("ada"), klass.browser("bo")
    assert ada.hand_in(notebook(), word=bo.word).status_code == 403
    assert ada.hand_in(notebook(), word=klass.browser("ada").word).status_code == 403
    assert klass.files() == set()


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}])  # fmt: skip
def test_a_form_that_a_browser_calls_foreign_is_refused_also_with_the_word(klass, headers):
    ada = klass.browser("ada")
    ada.client.headers.update(headers)
    assert ada.hand_in(notebook()).status_code == 403 and klass.files() == set()


@pytest.mark.parametrize("path", ["/hand-in", "/out", "/class/dates", "/class/roster", "/class/link", "/class/regrade"])
def test_nothing_changes_by_a_mere_address(klass, path):
    assert klass.browser("instructor").get(path).status_code == 405


# --- headers and scripts ----------------------------------------------------------------------------------------------


def test_every_answer_forbids_scripts_frames_and_guesses(klass):
    klass.browser("ada").hand_in(notebook())
    klass.grade(1)
    answers = [Browser(klass.app).get(path) for path in ("/", "/nothing", "/in/x", "/style.css", "/health")]
    answers += [klass.browser("ada").get(path) for path in ("/", "/attempts/1", "/attempts/1/notebook", "/nothing")]
    answers += [klass.browser("instructor").get(path) for path in ("/class", "/class/students", "/class/attempts")]
    answers += [klass.browser("ada").hand_in(b"no notebook")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy and "base-uri 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin" and answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


def test_no_page_has_a_script_or_a_handler(klass):
    klass.browser("ada").hand_in(notebook())
    klass.grade(1)
    pages = [klass.browser("ada").get("/"), klass.browser("ada").get("/attempts/1")]
    pages += [klass.browser("instructor").get(path) for path in ("/class", "/class/students", "/class/attempts")]
    for page in pages:
        assert "<script" not in page.text and " on" + "click" not in page.text and "javascript:" not in page.text


def test_what_a_student_wrote_is_shown_as_text(klass):
    ada = klass.browser("ada")
    ada.hand_in(notebook(), name="<script>alert(1)</script>.ipynb")
    evil = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J"
    blocks = [{"kind": kind, "name": evil, "source": evil, "printed": evil, "text": evil}
              for kind in ("note", "answer", "own", "written")]  # fmt: skip
    klass.grade(1, blocks=blocks)
    for browser in (ada, klass.browser("instructor")):
        page = browser.get("/attempts/1")
        assert "<script" not in page.text and "<img" not in page.text and "&lt;script&gt;alert(1)" in page.text
        assert "\x1b" not in page.text


def test_names_in_a_roster_are_shown_as_text(tmp_path, release_folder):
    evil = "<script>alert(1)</script>"
    klass = served.Served(tmp_path / "class", release_folder, content=f"student,name\nada,{evil}\n".encode())
    for browser, path in ((klass.browser("ada"), "/"), (klass.browser("instructor"), "/class/students")):
        assert "<script" not in browser.get(path).text and "&lt;script&gt;" in browser.page.text


def test_links_as_a_table_run_nothing_in_a_spreadsheet(tmp_path, release_folder):
    klass = served.Served(tmp_path / "class", release_folder, content=b"student,name\nada,=HYPERLINK(1)\n")
    table = klass.browser("instructor").get("/class/links.csv")
    assert ",'=HYPERLINK(1)," in table.text and table.headers["content-disposition"].startswith("attachment")


def test_a_file_of_a_student_is_never_shown_by_the_browser(klass):
    klass.browser("ada").hand_in(notebook())
    answer = klass.browser("instructor").get("/attempts/1/notebook")
    assert answer.content == notebook()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


# --- limits -----------------------------------------------------------------------------------------------------------


def test_uploads_are_taken_only_so_often_and_per_student(klass):
    klass.web.uploads = Limit(3, 60.0)
    ada = klass.browser("ada")
    codes = [ada.hand_in(notebook(double=f"def double(x):\n    return {n}\n")).status_code for n in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert "Wait" in text_of(ada.page) and len(klass.files()) == 6  # three notebooks, and three notes about them
    assert klass.browser("bo").hand_in(notebook()).status_code == 200


def test_pages_are_asked_for_only_so_often(klass):
    klass.web.visits = Limit(4, 60.0)
    ada = klass.browser("ada")
    assert [ada.get("/").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert klass.browser("bo").get("/").status_code == 200


def test_a_limit_gives_back_with_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(protection.time, "monotonic", lambda: now[0])
    limit = Limit(2, 10.0)
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 10]
    now[0] += 10
    assert [limit.wait("a") for _ in range(2)] == [0, 10] and limit.wait("b") == 0


@pytest.mark.parametrize("said", [True, False])
def test_a_body_that_is_too_large_is_ended_whether_it_says_so_or_not(klass, monkeypatch, said):
    monkeypatch.setattr(protection, "DRAINED", 30 << 20)
    ada = klass.browser("ada")
    piece = b"x" * (1 << 20)
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="notebook"; filename="x.ipynb"\r\n\r\n'.encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    body = [head, *[piece] * 60]
    if said:
        headers["Content-Length"] = str(sum(map(len, body)))
    answer = ada.client.post("/hand-in", content=iter(body), headers=headers)
    assert answer.status_code == 413 and "Clear Outputs" in answer.text and klass.files() == set()


def test_the_server_answers_to_its_own_name_only_where_it_is_for_this_machine(klass):
    klass.web.hosts = frozenset({"127.0.0.1"})
    assert Browser(klass.app, "http://rebound.example").get(klass.link("ada")).status_code == 400
    assert Browser(klass.app, "http://127.0.0.1").get(klass.link("ada")).status_code == 200


def test_the_secret_is_readable_by_its_owner_only(klass):
    assert klass.room.secret
    assert (klass.folder / "serve" / "secret").stat().st_mode & 0o777 == 0o600


def test_points_that_a_person_gave_are_those_of_the_student_alone(klass):
    (klass.folder / "grades.csv").write_text("student,97_measures/why\nada,3\nbo,1\n")
    assert students_pages.given_by_hand(klass.room, "bo", served.UNIT) == {"why": "1"}
    assert json.dumps(students_pages.given_by_hand(klass.room, "cy", served.UNIT)) == "{}"
