"""python -m hpool on a terminal, and the screen as a person sees it."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

import pyte

from tests.tools import python_m_environment

# The terminal becomes the controlling one, so that Ctrl-C and a new size are
# signals, as they are under a shell.
START = (
    "import fcntl, runpy, termios;"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "runpy.run_module('hpool', run_name='__main__', alter_sys=True)"
)
ALTERNATE = 1049  # the private mode that full screen programs set


class Emulator(pyte.Screen):
    """pyte's screen, and the second one that it lacks."""

    def __init__(self, columns, rows):
        self.first = None  # what the other screen held
        self.scrolled = 0  # how often the second one moved up
        super().__init__(columns, rows)

    def set_mode(self, *modes, **how):
        super().set_mode(*modes, **how)
        if ALTERNATE in modes and how.get("private"):
            self.first = (
                {y: dict(line.items()) for y, line in self.buffer.items()},
                (self.cursor.x, self.cursor.y),
            )
            self.erase_in_display(2)

    def reset_mode(self, *modes, **how):
        super().reset_mode(*modes, **how)
        if ALTERNATE in modes and how.get("private"):
            lines, (self.cursor.x, self.cursor.y) = self.first
            self.first = None
            self.erase_in_display(2)
            for y, line in lines.items():
                self.buffer[y].update(line)

    def index(self):
        if self.first is not None and self.cursor.y == self.lines - 1:
            self.scrolled += 1
        super().index()


class Terminal:
    """Runs `python -m hpool` with these arguments, from `with` on."""

    def __init__(self, *arguments, columns=80, rows=24, **environment):
        self._arguments = arguments
        self._environment = {"TERM": "xterm-256color", **environment}
        self.screen = Emulator(columns, rows)
        self.output = bytearray()  # all of it, as it came
        self._stream = pyte.ByteStream(self.screen)

    def __enter__(self):
        self._ours, theirs = pty.openpty()
        self._set_size()
        self.settings = termios.tcgetattr(self._ours)
        environment = python_m_environment() | self._environment
        for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
            if name not in self._environment:
                environment.pop(name, None)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", START, *self._arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
                env=environment,
            )
        finally:
            os.close(theirs)
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait(10)
        os.close(self._ours)

    # -- seeing

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def is_full_screen(self):
        return self.screen.first is not None

    def wait(self, condition, seconds=20):
        """Until it holds for the terminal; gives back what it said."""
        end = time.monotonic() + seconds
        while not (said := condition(self)):
            rest = end - time.monotonic()
            assert rest > 0, f"not within {seconds} s; there is\n{self.text}"
            assert self._receive(rest), f"ended, and left\n{self.text}"
        return said

    def wait_text(self, *words):
        self.wait(lambda terminal: all(word in terminal.text for word in words))

    def wait_end(self, seconds=20):
        """Until the program has ended; gives back its status."""
        end = time.monotonic() + seconds
        while self._receive(max(0.0, end - time.monotonic())):
            assert time.monotonic() < end, f"goes on, with\n{self.text}"
        return self.process.wait(10)

    def _receive(self, seconds):
        """False at the end of the program."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # what Linux says when nobody holds the other end
            return False
        self.output += data
        self._stream.feed(data)
        return bool(data)

    # -- doing

    def type(self, keys):
        os.write(self._ours, keys)

    def interrupt(self):
        """Ctrl-C."""
        self.type(b"\x03")

    def resize(self, columns, rows):
        """The kernel sends SIGWINCH with it."""
        self.screen.resize(rows, columns)
        self._set_size()

    def _set_size(self):
        size = struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def current_settings(self):
        return termios.tcgetattr(self._ours)
