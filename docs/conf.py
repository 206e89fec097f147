"""Sphinx: the pages of this folder as HTML. `make docs` builds them."""

import re

import hpool

project = "hpool"
author = "the hpool authors"
project_copyright = author
version = release = hpool.__version__

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["examples"]
default_role = "literal"  # what docstrings mean by `name`
highlight_language = "text"
nitpicky = True
smartquotes = False  # code in docstrings has quotes
autodoc_member_order = "bysource"
autodoc_typehints = "none"
maximum_signature_line_length = 70
python_display_short_literal_types = True

html_theme = "alabaster"
html_theme_options = {
    "description": "An HTTP client with requests' names and Go's pool",
    "fixed_sidebar": True,
    "page_width": "1060px",
    "sidebar_width": "230px",
    "sidebar_collapse": True,
    "show_powered_by": False,
}
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sourcelink = False

ENTRY = re.compile(r"( *)(\S(?:.*?\S)?) {2,}(\S.*)")


def setup(app):
    app.connect("autodoc-process-docstring", plain_text_to_rst)
    app.connect("autodoc-process-signature", without_repetition)


def without_repetition(app, what, name, thing, options, signature, returns):
    """The keywords that all verbs have in common are listed with get() alone."""
    if signature and "cancel=None" in signature and not name.endswith("Client.get"):
        positional = signature.partition(", *,")[0]
        return f"{positional}, **keywords)", returns
    return None


def plain_text_to_rst(app, what, name, thing, options, lines):
    """Docstrings are written for help(): names in a column with what they mean
    beside them become definitions, what else is indented stays as it is."""
    text = "\n".join(lines)
    blocks = [block for block in re.split(r"\n\s*\n", text) if block.strip()]
    lines[:] = [line for block in blocks for line in [*converted(block), ""]]


def converted(block):
    lines = block.strip("\n").split("\n")
    if lines[0].lstrip().startswith(">>>"):
        return lines
    start = next((n for n, line in enumerate(lines) if laid_out(line)), None)
    prose = escaped("\n".join(lines[:start])).split("\n")
    if start is None:
        return prose
    return [*prose, "", *(definitions(lines[start:]) or literal(lines[start:]))]


def laid_out(line):
    return line.startswith(" ") or ENTRY.match(line) is not None


def literal(lines):
    return ["::", "", *("    " + line for line in lines)]


def definitions(lines):
    """None if these are not names with their meanings."""
    first = ENTRY.match(lines[0])
    if first is None:
        return None
    indent, made = len(first[1]), []
    for line in lines:
        entry = ENTRY.match(line)
        if entry and len(entry[1]) == indent:
            made += [f"``{entry[2]}``", "    " + escaped(entry[3])]
        elif line.startswith(" " * (indent + 1)):
            made.append("    " + escaped(line.strip()))
        else:
            return None
    return made


def escaped(text):
    """Outside of `names`, nothing is markup."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\*|_])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)
