"""What the tests of the client share: runs of the command line, and how
hypothesis looks for examples."""

import pytest
from hypothesis import settings

from hpool.cli import main

# The same examples in every run, and none that fails on a busy machine.
settings.register_profile("hpool", deadline=None, derandomize=True)
settings.load_profile("hpool")


@pytest.fixture
def run(capfdbinary):
    """run(*arguments) -> (exit status, stdout, stderr)"""

    def run(*arguments):
        status = main(arguments)
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return run
