"""Who may include whom in csrc/. Run by itself it judges this tree.

The storeys, lowest first: base, wire, net, pool, hp.h, run, py. A file may
include its own storey and those below. hp.h stands under run, because run
implements it; for the same reason hp.h sees nothing of run. py is apart: of
the whole core it sees hp.h alone.
"""

import re
import sys
from pathlib import Path, PurePosixPath

STOREYS = ["base", "wire", "net", "pool", "hp.h", "run", "py"]
CODECS = ("zlib.h", "brotli/", "zstd.h", "zdict.h")

INCLUDE = re.compile(r"^[ \t]*#[ \t]*(?:include|import)\b[ \t]*(.*?)[ \t]*$", re.M)
TARGET = re.compile(r'"([^"]+)"|<([^>]+)>')
STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|/\*.*?\*/|//[^\n]*', re.S)


def includes(text):
    """The targets of all #include lines; what is neither "x" nor <x> (a macro)
    comes as it is written, to be refused as unknown."""
    text = text.replace("\\\n", "")
    text = STRING_OR_COMMENT.sub(lambda found: found[1] or " ", text)
    for line in INCLUDE.findall(text):
        target = TARGET.match(line)
        yield (target[1] or target[2]) if target else line


def resolve(root, file, target):
    """Where in the tree an include leads, or None for a header outside it.
    Angle brackets are no way out: they find the tree's files too."""
    for start in (file.parent, root):
        try:
            found = (start / target).resolve().relative_to(root.resolve())
        except ValueError:
            continue
        if (root / found).is_file():
            return PurePosixPath(found)
    return None


def storey(path):
    return path.parts[0]


def judge_inside(path, target):
    """What is wrong with an include of a file of this tree, or None."""
    here, there = storey(path), storey(target)
    if there not in STOREYS:
        return f"{target} is on no storey"
    if here == there:
        return None
    if here == "py":
        return None if there == "hp.h" else f"py sees hp.h alone, not {target}"
    if STOREYS.index(there) > STOREYS.index(here):
        return f"{target} is above {here}"
    return None


def judge_outside(path, target):
    """What is wrong with an include of somebody else's header, or None."""
    name = target.lower()
    if name in ("python.h", "structmember.h", "pythread.h"):
        return None if storey(path) == "py" else f"{target} outside csrc/py"
    if name.startswith("openssl/"):
        mine = storey(path) == "net" and path.name.startswith("tls_")
        return None if mine else f"{target} outside csrc/net/tls_*"
    if name.startswith(CODECS):
        mine = storey(path) == "wire" and path.name.startswith("coding")
        return None if mine else f"{target} outside csrc/wire/coding*"
    if not target.endswith(".h"):
        return f"cannot tell what {target} includes"
    return None


def check_file(root, file):
    path = PurePosixPath(file.relative_to(root))
    if storey(path) not in STOREYS:
        yield f"{path}: on no storey"
        return
    for target in includes(file.read_text(encoding="utf-8")):
        inside = resolve(root, file, target)
        if inside is None:
            wrong = judge_outside(path, target)
        else:
            wrong = judge_inside(path, inside)
        if wrong:
            yield f"{path}: {wrong}"


def check(root):
    """Every violation in the tree, as lines of text."""
    files = sorted(file for file in root.rglob("*") if file.suffix in (".c", ".h"))
    if not files:
        return [f"no C files under {root}"]
    return [line for file in files for line in check_file(root, file)]


def main():
    wrong = check(Path(__file__).parent.parent / "csrc")
    print("\n".join(wrong) or "layers: every include goes downwards")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
