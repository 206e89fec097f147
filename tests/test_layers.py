"""The layer check: that this tree passes, and that it can fail at all."""

from pathlib import Path

import pytest

from tests import layers

ROOT = Path(__file__).parent.parent

GOOD = {
    "base/span.h": "#include <stddef.h>\n",
    "base/span.c": '#include "base/span.h"\n',
    "wire/head.h": '#include "base/span.h"\n',
    "wire/coding_zlib.c": "#include <zlib.h>\n",
    "net/conn.h": '#include "wire/head.h"\n#include "base/span.h"\n',
    "net/sock.c": "#include <net/if.h>\n",
    "net/tls_ctx.c": "#include <openssl/ssl.h>\n",
    "pool/pool.h": '#include "net/conn.h"\n',
    "hp.h": '#include "pool/pool.h"\n',
    "run/drive.h": '#include "pool/pool.h"\n',
    "run/drive.c": '#include "hp.h"\n#include "run/drive.h"\n',
    "py/state.h": "#include <Python.h>\n",
    "py/module.c": '#include "hp.h"\n#include "py/state.h"\n',
}


def plant(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_include_of_this_tree_goes_downwards():
    assert layers.check(ROOT / "csrc") == []


def test_a_good_tree_passes(tmp_path):
    assert layers.check(plant(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    "file, line",
    [
        ("base/bad.c", '#include "wire/head.h"'),
        ("wire/bad.c", '#include "net/conn.h"'),
        ("net/bad.c", '#include "pool/pool.h"'),
        ("pool/bad.c", '#include "run/drive.h"'),
        ("pool/bad.c", '#include "hp.h"'),
        ("hp.h", '#include "run/drive.h"'),
        ("run/bad.c", '#include "py/state.h"'),
        ("base/bad.h", '#include "../wire/head.h"'),
        ("base/bad.h", "#include <wire/head.h>"),
        ("base/bad.h", '  #  include\t"wire/head.h"'),
        ("base/bad.h", '#include \\\n"wire/head.h"'),
        ("base/bad.h", '/* why */ #include "wire/head.h"'),
        ("base/bad.h", "#define UP <wire/head.h>\n#include UP"),
        ("base/bad.h", 'char *any = "*/*";\n#include "wire/head.h"\n/* */'),
        ("py/bad.c", '#include "run/drive.h"'),
        ("py/bad.c", '#include "base/span.h"'),
        ("py/bad.c", "#include <openssl/ssl.h>"),
        ("run/bad.c", "#include <Python.h>"),
        ("base/bad.h", '#include "Python.h"'),
        ("net/conn.c", "#include <openssl/err.h>"),
        ("wire/tls_bad.c", "#include <openssl/err.h>"),
        ("net/bad.c", "#include <zlib.h>"),
        ("attic/bad.c", "#include <stddef.h>"),
    ],
)
def test_a_bad_include_is_found(tmp_path, file, line):
    plant(tmp_path, {**GOOD, file: f"{line}\n"})
    wrong = layers.check(tmp_path)
    assert len(wrong) == 1 and wrong[0].startswith(f"{file}: ")


def test_an_include_inside_a_comment_is_none(tmp_path):
    text = '/*\n#include "wire/head.h"\n*/\n// #include "wire/head.h"\n'
    assert layers.check(plant(tmp_path, {**GOOD, "base/ok.h": text})) == []


def test_an_empty_tree_does_not_pass(tmp_path):
    assert layers.check(tmp_path) != []
