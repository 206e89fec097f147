"""The table at the top of csrc/pool/key.h names every option there is, and no
other: what is missing there may be shared between requests that differ in it."""

import inspect
import re
from pathlib import Path

import hpool

CSRC = Path(__file__).parent.parent / "csrc"
STRUCTS = {
    "hp_transport_config": "hp.h",
    "hp_request": "hp.h",
    "hp_dial_options": "net/dial_options.h",
    "hp_dial_spec": "net/conn.h",
}
COMMENT = re.compile(r"/\*.*?\*/", re.S)
LEFT = slice(3, 29)  # of a line of the table: the names
NAME = re.compile(r"[a-z][a-z0-9_]*")


def table(text):
    """The names in the left column."""
    lines = text[: text.index("#ifndef")].splitlines()
    rows = [line for line in lines if line.startswith(" *   ") and "|" not in line]
    assert len(rows) > 10
    return {name for line in rows for name in NAME.findall(line[LEFT])}


def fields(struct):
    """The fields of a struct; a count that stands beside a pointer is none of
    its own."""
    text = COMMENT.sub("", (CSRC / STRUCTS[struct]).read_text())
    body = re.search(rf"typedef struct {struct} {{(.*?)\n}} {struct};", text, re.S)
    found = set()
    for declaration in body[1].split(";"):
        function = re.search(r"\(\*(\w+)\)", declaration)
        if function:
            found.add(function[1])
        elif declaration.strip():
            found |= {re.findall(r"\w+", part)[-1] for part in declaration.split(",")}
    assert len(found) > 2
    return {name for name in found if not name.startswith("n_")}


def keywords():
    """Of Client() and of its verbs."""
    found = set(inspect.signature(hpool.Client).parameters)
    for verb in ("get", "post", "request"):
        found |= set(inspect.signature(getattr(hpool.Client, verb)).parameters)
    return found - {"self"}


def options():
    return keywords().union(*map(fields, STRUCTS))


def test_every_option_has_its_place_in_the_key_or_a_reason():
    assert options() - table((CSRC / "pool/key.h").read_text()) == set()


def test_the_table_names_nothing_that_is_gone():
    assert table((CSRC / "pool/key.h").read_text()) - options() == set()


def test_a_missing_option_is_seen():
    text = (CSRC / "pool/key.h").read_text().replace("local_address,", "")
    assert "local_address" in options() - table(text)
