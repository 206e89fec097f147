"""Builds hpool._core. What is said once and for all stands in pyproject.toml.

    HPOOL_WERROR=1   warnings are errors
    HPOOL_DEBUG=1    asserts on, little optimisation, debug information

CC, CPPFLAGS, CFLAGS and LDFLAGS count as everywhere.
"""

import json
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

CODECS = {
    # library: (what proves it, macro)
    "brotlidec": (
        "#include <brotli/decode.h>\n"
        "int main(void) { return (int)(BrotliDecoderVersion() == 0); }\n",
        "HP_HAVE_BROTLI",
    ),
    "zstd": (
        "#include <zstd.h>\n"
        "int main(void) { return (int)(ZSTD_versionNumber() == 0); }\n",
        "HP_HAVE_ZSTD",
    ),
}

NEEDED = {
    # name: (libraries, what proves it, Debian, Fedora, macOS)
    "OpenSSL 3.0 or newer": (
        ("ssl", "crypto"),
        "#include <openssl/ssl.h>\n"
        "#if OPENSSL_VERSION_NUMBER < 0x30000000L\n"
        "#error too old\n"
        "#endif\n"
        "int main(void) { return TLS_client_method() == 0; }\n",
        "libssl-dev",
        "openssl-devel",
        "openssl@3",
    ),
    "zlib": (
        ("z",),
        "#include <zlib.h>\nint main(void) { return zlibVersion() == 0; }\n",
        "zlib1g-dev",
        "zlib-devel",
        "zlib",
    ),
}

# What makes a mistake in memory end the process rather than serve a stranger.
# Each where the compiler knows it: -fcf-protection is for x86, -z for ELF.
HARDENING = [
    ["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"],
    ["-fstack-protector-strong"],
    ["-fcf-protection"],
]
HARDENING_OF_THE_LINK = [["-Wl,-z,relro", "-Wl,-z,now"]]


def flags_of(variable):
    return shlex.split(os.environ.get(variable, ""))


def compiler_command():
    """The compiler that setuptools will use, with the flags of the caller."""
    cc = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return [*shlex.split(cc), *flags_of("CPPFLAGS"), *flags_of("CFLAGS")]


def compiles(program, libraries, flags=()):
    """Whether the program compiles and links. A missing compiler is no."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(program)
        command = [*compiler_command(), *flags, str(source)]
        command += ["-o", f"{folder}/probe"]
        command += [*flags_of("LDFLAGS"), *(f"-l{name}" for name in libraries)]
        try:
            done = subprocess.run(command, capture_output=True)
        except OSError:
            return False
        return done.returncode == 0


def that_are_known(choices):
    """The flags of those choices that the compiler takes without a word."""
    empty = "int main(void) { return 0; }\n"
    return [
        flag
        for flags in choices
        if compiles(empty, [], ["-O2", "-Werror", *flags])
        for flag in flags
    ]


def find_codecs():
    return [lib for lib, (program, _) in CODECS.items() if compiles(program, [lib])]


def complain_about_missing():
    """Ends the build with the package to install, not with page after page of
    the compiler's answers to a header it cannot find."""
    if not compiles("int main(void) { return 0; }\n", []):
        raise SystemExit(
            "hpool needs a C compiler, and "
            f"{shlex.join(compiler_command())!r} does not compile an empty program.\n"
            "  Debian, Ubuntu: apt-get install gcc libc6-dev\n"
            "  Fedora:         dnf install gcc\n"
            "  macOS:          xcode-select --install"
        )
    for name, (libraries, program, debian, fedora, macos) in NEEDED.items():
        if not compiles(program, libraries):
            raise SystemExit(
                f"hpool needs {name}, and its header or library was not found.\n"
                f"  Debian, Ubuntu: apt-get install {debian}\n"
                f"  Fedora:         dnf install {fedora}\n"
                f"  macOS:          brew install {macos}, then set CPPFLAGS="
                f'"-I$(brew --prefix {macos})/include" and LDFLAGS='
                f'"-L$(brew --prefix {macos})/lib"'
            )


def print_codec_flags():
    """For the Makefile, which asks at every start: answered from a cache that
    holds for one compiler and its flags. `make clean` forgets it."""
    cache = Path(__file__).parent / "build" / "codecs.json"
    key = [compiler_command(), flags_of("LDFLAGS")]
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    # Only a full set is believed: what is missing may be installed any minute.
    if known.get("key") != key or known.get("found") != list(CODECS):
        known = {"key": key, "found": find_codecs()}
        cache.parent.mkdir(exist_ok=True)
        cache.write_text(json.dumps(known))
    print(*(f"-D{CODECS[lib][1]}=1 -l{lib}" for lib in known["found"]))


if __name__ == "__main__" and sys.argv[1:] == ["--print-codec-flags"]:
    print_codec_flags()
    sys.exit()


# Below, because --print-codec-flags need not wait for setuptools.
from concurrent.futures import ThreadPoolExecutor  # noqa: E402

from setuptools import Extension, setup  # noqa: E402
from setuptools.command.build_ext import build_ext  # noqa: E402


def wanted(name):
    return os.environ.get(name, "") not in ("", "0")


def compile_flags():
    flags = ["-std=c11", "-fvisibility=hidden", *that_are_known(HARDENING)]
    if wanted("HPOOL_DEBUG"):
        flags += ["-O1", "-g", "-UNDEBUG"]  # Python's own flags define it
    else:
        flags += ["-O2", "-DNDEBUG"]
    if wanted("HPOOL_WERROR"):
        flags += ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
    return flags


def version():
    with open("pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["version"]


def core():
    return Extension(
        "hpool._core",
        sources=sorted(str(path) for path in Path("csrc").glob("**/*.c")),
        depends=sorted(str(path) for path in Path("csrc").glob("**/*.h")),
        include_dirs=["csrc"],
        define_macros=[
            ("_GNU_SOURCE", None),
            ("HPOOL_VERSION", f'"{version()}"'),  # for User-Agent
        ],
        extra_compile_args=compile_flags(),
        extra_link_args=that_are_known(HARDENING_OF_THE_LINK),
        libraries=["ssl", "crypto", "z"],
    )


def compile_in_parallel(compiler):
    """setuptools compiles the files of one extension one after the other."""
    one_by_one = compiler.compile

    def compile_all(sources, **how):
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            done = threads.map(lambda source: one_by_one([source], **how), sources)
            return [obj for objects in done for obj in objects]

    compiler.compile = compile_all


class Build(build_ext):
    def build_extensions(self):
        complain_about_missing()
        for extension in self.extensions:
            for lib in find_codecs():
                extension.libraries.append(lib)
                extension.define_macros.append((CODECS[lib][1], "1"))
            self.force = self.force or self.made_differently(extension)
        # The linker has its own idea of what is new, in whole seconds.
        self.compiler.force = self.force
        compile_in_parallel(self.compiler)
        super().build_extensions()
        self.remember_how()

    def how(self, extension):
        parts = [*extension.extra_compile_args, *extension.extra_link_args]
        parts += extension.libraries
        return json.dumps([parts, compiler_command(), flags_of("LDFLAGS")])

    def stamp(self, extension):
        path = Path(self.get_ext_fullpath(extension.name))
        return Path("build", f"{path.name}.how")

    def made_differently(self, extension):
        """File times say nothing about flags that have changed since."""
        try:
            return self.stamp(extension).read_text() != self.how(extension)
        except OSError:
            return True

    def remember_how(self):
        for extension in self.extensions:
            self.stamp(extension).parent.mkdir(exist_ok=True)
            self.stamp(extension).write_text(self.how(extension))


setup(ext_modules=[core()], cmdclass={"build_ext": Build})
