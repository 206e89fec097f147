"""Every scenario of the behaviour contract is shown by a test, or has a reason."""

import sys

from tests.scenarios import table

# What the two reasons that count begin with.
REASONS = ("HTTP/2", "Go only")


def test_every_scenario_has_a_test_or_a_reason():
    missing = [n for n, _, reason in table.rows() if reason == "MISSING"]
    assert missing == []


def test_at_least_a_hundred_run():
    run = set(table.found()) - table.CLIENT_LAYER
    assert len(run) >= 100, sorted(run)


def test_reasons_are_used_and_are_reasons():
    assert set(table.LEFT_OUT).isdisjoint(table.found())
    assert all(reason.startswith(REASONS) for reason in table.LEFT_OUT.values())


def test_numbers_are_found(tmp_path, monkeypatch):
    (tmp_path / "c").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "test_x.py").write_text(
        "def test_s17_s18_head():\n    pass\n\n\ndef test_9_lives():\n    pass\n"
    )
    (tmp_path / "c" / "y_test.c").write_text(
        "/* S3 and the S4. */\nstatic void\ntest_y(void)\n{\n}\n"
        "static void\ntest_s40_late(void)\n{\n}\n"
    )
    monkeypatch.setattr(table, "TESTS", tmp_path)
    assert table.found() == {
        17: ["one/test_x.py::test_s17_s18_head"],
        18: ["one/test_x.py::test_s17_s18_head"],
        3: ["c/y_test.c::test_y"],
        4: ["c/y_test.c::test_y"],
        40: ["c/y_test.c::test_s40_late"],
    }


def test_the_table_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["table.py"])
    assert table.main() == 0
    out = capsys.readouterr().out
    assert "scenarios/test_limits.py::test_s40_late_binding\n" in out
    assert "S131 (HTTP/2" in out
    assert "0 are missing" in out
