"""A pytest plugin that fails a test which leaves a response open: with the
fixture `hpool_no_leaks` one test, with the option `--hpool-leaks` all of them.

A response is left open when it still holds a connection after the test and its
own fixtures have ended, or when it was collected unclosed meanwhile. While a
test is watched, every client of the process records the line that makes a
request, so that the failure names it. What fixtures of a wider scope open does
not count, nor is anything said of a test that fails by itself.

pytest finds the plugin by its entry point, `hpool`; `-p no:hpool` keeps it out.
Where hpool is importable but not installed, `-p hpool.pytest_plugin` loads it.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import pytest

import _hpool_pytest

from . import _core
from ._leaks import make_leaks

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    from ._leaks import Leak, Row

_NAME = "hpool-leaks"
_ADVICE = (
    "A response holds its connection until it is read to its end or closed. "
    "`with client.get(...) as r:` closes it whatever happens."
)
_MARK = "hpool_leaks"  # on the report of such a failure


def pytest_addoption(
    parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager
) -> None:
    """With -p hpool.pytest_plugin: option and fixture as from the entry point."""
    if not pluginmanager.has_plugin("hpool"):
        pluginmanager.register(_hpool_pytest, "hpool")


def check_leaks(config: pytest.Config) -> LeakCheck:
    """The check of this test run, made and registered when first asked for."""
    check = config.pluginmanager.get_plugin(_NAME)
    if check is None:
        check = LeakCheck(str(config.rootpath))
        config.pluginmanager.register(check, _NAME)
    assert isinstance(check, LeakCheck)
    return check


class _Watch:
    """What happens to responses from here to end()."""

    def __init__(self, known: set[tuple[int, int]]) -> None:
        self._known = known
        self._began = _core._clock()
        self._collected: list[tuple[Row, str | None]] = []
        self._before = _core._watch_leaks(self._collected)
        self._exempt: list[tuple[int, int]] = []
        self.failed = False  # the test, by itself

    def end(self) -> None:
        _core._watch_leaks(self._before)
        self.collected()

    def exempt(self, began: int) -> None:
        """What was opened from `began` until now does not count."""
        self._exempt.append((began, _core._clock()))

    def _counts(self, row: Row) -> bool:
        opened = row[0]
        exempt = any(start <= opened <= end for start, end in self._exempt)
        return opened >= self._began and not exempt

    def collected(self) -> list[Leak]:
        """The test's responses collected since the last call. Of others, unless
        they have been told of, is warned, as it would have been without us."""
        seen, self._collected[:] = self._collected[:], []
        rows = []
        for row, text in seen:
            if self._counts(row):
                rows.append(row)
            elif text is not None and _identity(row) not in self._known:
                _Dropped(text)
        return self._told(rows)

    def open(self) -> list[Leak]:
        """The test's responses that hold a connection now."""
        return self._told([*filter(self._counts, _core._open_responses())])

    def _told(self, rows: list[Row]) -> list[Leak]:
        self._known.update(map(_identity, rows))
        return make_leaks(_core._clock(), rows)


def _identity(row: Row) -> tuple[int, int]:
    """When it got its connection, and which."""
    return row[0], row[-1]


class _Dropped:
    """Stands in for a response that was collected: gone at once, with the warning
    that the response was kept from giving, and with the same consequences."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __del__(self) -> None:
        warnings.warn(self._text, ResourceWarning, stacklevel=2)


class LeakCheck:
    """The hooks. One test runs at a time; `_watch` is its own, if there is one."""

    def __init__(self, root: str) -> None:
        self.of_all_tests = False
        self._root = os.path.join(root, "")
        self._watch: _Watch | None = None
        self._known: set[tuple[int, int]] = set()  # responses told of
        self._failure: BaseException | None = None

    def begin(self) -> None:
        """Watches the running test from now on."""
        if self._watch is None:
            self._watch = _Watch(self._known)

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.end()
        self._watch = None

    # -- when

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None]:
        if self.of_all_tests:
            self.begin()
        yield

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        began = _core._clock()
        try:
            return (yield)
        finally:
            if self._watch is not None and fixturedef.scope != "function":
                self._watch.exempt(began)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None]:
        """What was collected unclosed nobody can close any more."""
        yield
        if self._watch is not None:
            self._judge(self._watch.collected())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None]:
        """What is open after the call a fixture of the test may yet close."""
        yield
        if self._watch is not None:
            collected = self._watch.collected()
            if not self._watch.failed:
                self._judge(collected, self._watch.open())

    def pytest_runtest_logfinish(self) -> None:
        """pytest has let go of what the test's fixtures returned."""
        self._end()

    def pytest_unconfigure(self) -> None:
        self._end()

    # -- the verdict

    def _judge(
        self, collected: Iterable[Leak] = (), still_open: Iterable[Leak] = ()
    ) -> None:
        lines = [self._line(leak, "collected unclosed") for leak in collected]
        lines += [self._line(leak, "still open") for leak in still_open]
        if lines:
            self._failure = pytest.fail.Exception(
                "\n".join([*lines, _ADVICE]), pytrace=False
            )
            raise self._failure

    def _line(self, leak: Leak, what: str) -> str:
        by = (leak.line or "a request").removeprefix(self._root)
        return f"left open by {by}: {leak.method} {leak.url} ({leak.phase}, {what})"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.excinfo is None:
            return report
        if call.excinfo.value is self._failure:
            setattr(report, _MARK, True)
        elif self._watch is not None:
            self._watch.failed = True  # and its frames keep what they hold
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, str] | None:
        """The test has failed, though it shows only in its teardown."""
        if getattr(report, _MARK, False):
            return "failed", "F", "FAILED"
        return None
