"""setup.py: what it asks for, what it switches, and what it says when
something is missing. Each build here is of a made-up core of one file."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hpool
from tests.server.scripted import expect, respond, send

ROOT = Path(__file__).parent.parent

TOY = r"""
#include <Python.h>
static int zero;
#ifdef TOY_WARNS
static int unused;
#endif
#ifdef NDEBUG
#define MODE "release"
#else
#define MODE "debug"
#endif
#ifdef HP_HAVE_BROTLI
#define BR " br"
#else
#define BR ""
#endif
#ifdef HP_HAVE_ZSTD
#define ZSTD " zstd"
#else
#define ZSTD ""
#endif
#if defined(__SSP_STRONG__) && _FORTIFY_SOURCE == 3
#define HARD " hard"
#else
#define HARD ""
#endif
static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, .m_name = "_core"};
PyMODINIT_FUNC
PyInit__core(void)
{
    PyObject *m = PyModule_Create(&def);
    if (m && PyModule_AddStringConstant(m, "how", MODE BR ZSTD HARD) != zero)
        Py_CLEAR(m);
    return m;
}
"""


@pytest.fixture
def tree(tmp_path):
    """A project with the real setup.py and a core of one file."""
    for name in ("setup.py", "pyproject.toml", "README.rst"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "hpool").mkdir()
    (tmp_path / "hpool" / "__init__.py").touch()
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "core.c").write_text(TOY)
    return tmp_path


def hide(tree, header):
    """CPPFLAGS under which this header is as good as not there."""
    fake = tree / "hidden" / header
    fake.parent.mkdir(parents=True)
    fake.write_text("#error hidden by the test\n")
    return {"CPPFLAGS": f"-I{tree / 'hidden'}"}


def run_setup(tree, *arguments, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HPOOL_")}
    return subprocess.run(
        [sys.executable, "setup.py", *arguments],
        cwd=tree,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=50,
    )


def build(tree, **env):
    done = run_setup(tree, "-q", "build_ext", "--inplace", **env)
    assert done.returncode == 0, done.stderr
    code = "from hpool._core import how; print(how)"
    run = [sys.executable, "-c", code]
    return subprocess.check_output(run, cwd=tree, text=True).strip()


def test_asserts_are_off_unless_debug_is_asked_for(tree):
    assert build(tree).split()[0] == "release"
    # The same tree, nothing touched but the switch: it has to build anew.
    assert build(tree, HPOOL_DEBUG="1").split()[0] == "debug"
    assert build(tree).split()[0] == "release"


def test_werror_makes_warnings_errors(tree):
    warns = {"CFLAGS": "-DTOY_WARNS"}
    assert run_setup(tree, "build_ext", "--inplace", **warns).returncode == 0
    done = run_setup(tree, "build_ext", "--inplace", **warns, HPOOL_WERROR="1")
    assert done.returncode != 0
    assert "unused" in done.stderr


def test_the_core_is_hardened(tree):
    assert "hard" in build(tree).split()
    # Not every compiler knows it all: clang wants -fcf-protection on x86 alone.
    wrapper = tree / "plain-cc"
    wrapper.write_text(
        '#!/bin/sh\ncase "$*" in *-fstack-protector-strong*) exit 1;; esac\n'
        'exec cc "$@"\n'
    )
    wrapper.chmod(0o755)
    assert "hard" not in build(tree, CC=str(wrapper)).split()


@pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf")
def test_nothing_is_left_to_overwrite_after_linking():
    shown = subprocess.check_output(
        ["readelf", "-Wld", hpool._core.__file__], text=True
    )
    assert "GNU_RELRO" in shown and "BIND_NOW" in shown


@pytest.mark.parametrize(
    "header, packages",
    [
        ("openssl/ssl.h", ["libssl-dev", "openssl-devel", "openssl@3"]),
        ("zlib.h", ["zlib1g-dev", "zlib-devel", "brew install zlib"]),
    ],
)
def test_a_missing_library_names_the_package(tree, header, packages):
    done = run_setup(tree, "build_ext", "--inplace", **hide(tree, header))
    assert done.returncode != 0
    assert all(package in done.stderr for package in packages), done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_compiler_is_named(tree):
    done = run_setup(tree, "build_ext", "--inplace", CC="no-such-compiler")
    assert done.returncode != 0
    assert "no-such-compiler" in done.stderr and "gcc" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "header, macro, word",
    [
        ("brotli/decode.h", "HP_HAVE_BROTLI", "br"),
        ("zstd.h", "HP_HAVE_ZSTD", "zstd"),
    ],
)
def test_a_codec_that_is_missing_is_left_out(tree, header, macro, word):
    assert macro in run_setup(tree, "--print-codec-flags").stdout
    assert word in build(tree).split()
    hidden = hide(tree, header)
    assert macro not in run_setup(tree, "--print-codec-flags", **hidden).stdout
    assert word not in build(tree, **hidden).split()


def test_there_is_one_version(server):
    text = (ROOT / "pyproject.toml").read_text()
    version = tomllib.loads(text)["project"]["version"]
    s = server([expect(), send(respond(b""))])
    with hpool.Client() as client:
        client.get(s.url).close()
    assert hpool.__version__ == version
    assert s.requests[0].get("User-Agent") == f"hpool/{version}"
