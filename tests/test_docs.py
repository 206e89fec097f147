"""The pages of docs/ as HTML: they build without a warning, every link leads
somewhere, the reference is complete, and the tables name what there is. (That
their Python runs is test_readme.py's.)"""

import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import hpool

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path.stem for path in DOCS.glob("*.rst"))


class Links(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src", "data"):
                self.targets.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the HTML pages, built without a warning."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = "-m sphinx -q -W --keep-going -b html -d".split()
    done = subprocess.run(
        [sys.executable, *command, folder / ".doctrees", DOCS, folder],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_every_page_is_in_the_contents(site):
    targets = Links(site / "index.html").targets
    missing = [page for page in PAGES if f"{page}.html" not in targets]
    assert missing == ["index"]


def test_every_link_leads_somewhere(site):
    links = {path: Links(path) for path in site.rglob("*.html")}
    followed = 0
    for path, page in links.items():
        for target in page.targets:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                continue
            there = (path.parent / unquote(url.path)).resolve() if url.path else path
            assert there.exists(), f"{path.name}: {target}"
            if url.fragment and there in links:
                assert unquote(url.fragment) in links[there].ids, (
                    f"{path.name}: {target}"
                )
            followed += 1
    assert followed > len(PAGES) ** 2  # the sidebar alone has that many


def test_the_reference_has_every_public_name(site):
    shown = Links(site / "api.html").ids
    named = {f"hpool.{name}" for name in hpool.__all__ if name[0] != "_"}
    named -= {"hpool.errors", "hpool.exceptions"}
    missing = {
        name
        for name in named
        if not {name, name.replace("hpool.", "hpool.errors.")} & shown
    }
    assert missing == set()


def test_every_docstring_is_shown(site):
    """Nothing of a class that help() shows is missing."""
    shown = Links(site / "api.html").ids
    for kind in (hpool.Client, hpool.Response, hpool.Headers, hpool.Cookies):
        names = [name for name in vars(kind) if not name.startswith("_")]
        assert names
        missing = [n for n in names if f"hpool.{kind.__name__}.{n}" not in shown]
        assert missing == []


def test_names_in_the_tables_exist():
    """What coming-from.rst says a name of another library is called here."""
    text = (DOCS / "coming-from.rst").read_text()
    things = {"hpool": hpool, "client": hpool.Client, "response": hpool.Response}
    found = re.findall(r"``(?:with )?(hpool|client|response)((?:\.\w+)+)", text)
    here = [(root, path) for root, path in found if (root, path) not in FOREIGN]
    assert len(here) > 60
    for root, path in here:
        thing = things[root]
        for name in path[1:].split("."):
            assert hasattr(thing, name), f"{root}{path}"
            thing = getattr(thing, name)


# urllib3's and Go's, in the tables' left columns.
FOREIGN = {
    ("response", ".data"),
    ("response", ".stream"),
    ("response", ".drain_conn"),
    ("client", ".Do"),
}


def test_settings_in_the_tables_exist():
    """Limits(...), Timeout(...) and the like take the arguments that are shown."""
    text = "".join((DOCS / f"{page}.rst").read_text() for page in PAGES)
    calls = set(re.findall(r"``hpool\.(Limits|Timeout|TLS|Retries)\((\w+)=", text))
    assert len(calls) > 10
    for name, argument in calls:
        assert argument in getattr(hpool, name).__slots__


def test_pictures_are_as_drawn():
    """Nobody has changed a picture by hand, or forgotten to draw it again."""
    drawn = runpy.run_path(str(DOCS / "draw.py"))["pictures"]()
    files = {path.stem: path.read_text() for path in DOCS.glob("pictures/*.svg")}
    assert files == {picture.name: picture.svg() for picture in drawn}
