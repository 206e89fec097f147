"""What the tests of the command line share."""

import pytest

from hpool.cli import main


@pytest.fixture
def run(capfdbinary):
    """run(*arguments) -> (exit status, stdout, stderr)"""

    def run(*arguments):
        status = main(arguments)
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return run
