"""The other Pythons of this machine, and hpool built for one of them."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hpool

ROOT = Path(hpool.__path__[0]).parent

ASK = """
import json, os, sys, sysconfig
headers = sysconfig.get_path("include")
print(json.dumps({
    "name": sys.implementation.name + sysconfig.get_config_var("VERSION")
        + getattr(sys, "abiflags", ""),
    "version": sys.version_info[:3],
    "headers": headers if os.path.exists(f"{headers}/Python.h") else None,
    "suffix": sysconfig.get_config_var("EXT_SUFFIX"),
}))
"""


def _programs():
    """Whatever may be a Python: of PATH, and pyenv's."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    if root := os.environ.get("PYENV_ROOT"):
        folders += Path(root).glob("versions/*/bin")
    for folder in folders:
        if folder.name != "shims":  # pyenv's, which answer for a version or not
            yield from folder.glob("python3.[0-9]*[0-9t]")


def _ask(program):
    try:
        done = subprocess.run(
            [program, "-I", "-c", ASK], capture_output=True, timeout=20, check=True
        )
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def others():
    """{name: (program, what it says)} of every CPython from 3.11 on that is not of
    this one's version and has its headers. The newest of each."""
    found = {}
    for program in sorted(set(_programs())):
        facts = _ask(program)
        if facts is None or not facts["headers"]:
            continue
        version = tuple(facts["version"])
        if version < (3, 11) or version[:2] == sys.version_info[:2]:
            continue
        known = found.get(facts["name"])
        if known is None or tuple(known[1]["version"]) < version:
            found[facts["name"]] = (program, facts)
    return found


def build(facts, folder):
    """hpool for that Python, in the folder."""
    shutil.copytree(
        ROOT / "hpool",
        folder / "hpool",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    asked = subprocess.run(
        [sys.executable, "setup.py", "--print-codec-flags"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    codecs = asked.stdout.split()
    cc = shlex.split(os.environ.get("CC", "cc"))
    flags = ["-std=c11", "-O0", "-fPIC", "-fvisibility=hidden", "-D_GNU_SOURCE"]
    flags += ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
    flags += ["-Icsrc", f"-I{facts['headers']}", *codecs]

    def compile_one(source):
        target = folder / "_".join(source.parts).replace(".c", ".o")
        command = [*cc, *flags, "-c", source, "-o", target]
        subprocess.run(command, cwd=ROOT, check=True)
        return target

    sources = [path.relative_to(ROOT) for path in sorted(ROOT.glob("csrc/*/*.c"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    libraries = ["-lssl", "-lcrypto", "-lz", *(f for f in codecs if f.startswith("-l"))]
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    module = folder / "hpool" / f"_core{facts['suffix']}"
    subprocess.run(
        [*cc, "-shared", *undefined, *objects, *libraries, "-o", module], check=True
    )
