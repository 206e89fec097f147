"""Draws the pictures of pool-explained.rst: `python docs/draw.py` writes them
into docs/pictures/."""

from pathlib import Path

FOLDER = Path(__file__).parent / "pictures"
INK, GREY, PAPER = "#22303c", "#6b7a87", "#ffffff"
BLUE, GREEN, AMBER, RED, VIOLET, PLAIN = (
    ("#dcebfa", "#2f74b5"),
    ("#dff3e3", "#2e8b57"),
    ("#fdf0d0", "#c28a12"),
    ("#fbe0de", "#c0463c"),
    ("#ebe3f7", "#7350b0"),
    ("#f2f4f6", "#9aa7b2"),
)


class Picture:
    def __init__(self, name, width, height, says):
        self.name, self.width, self.height, self.says = name, width, height, says
        self.parts = []

    def box(self, x, y, width, height, colour, title="", *lines, radius=10):
        fill, edge = colour
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" '
            f'rx="{radius}" fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
        )
        rows = ([(title, "b")] if title else []) + [(line, "s") for line in lines]
        top = y + height / 2 - (len(rows) - 1) * 9 + 4.5
        for number, (row, kind) in enumerate(rows):
            self.text(x + width / 2, top + 18 * number, row, kind)

    def text(self, x, y, words, kind="s", anchor="middle"):
        words = words.replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" class="{kind}" '
            f'text-anchor="{anchor}">{words}</text>'
        )

    def arrow(self, *points, label="", at=None, anchor="middle", dashed=False):
        """Along the points; a label stands at `at`."""
        path = "M" + " L".join(f"{x},{y}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="{path}" class="arrow"{dash} marker-end="url(#tip)"/>'
        )
        for number, row in enumerate(label.split("\n") if label else ()):
            self.text(at[0], at[1] + 16 * number, row, "n", anchor)

    def line(self, x1, y1, x2, y2):
        self.parts.append(
            f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" '
            f'stroke="{GREY}" stroke-dasharray="3 4"/>'
        )

    def svg(self):
        body = "\n".join(self.parts)
        return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" \
width="{self.width}" height="{self.height}" role="img">
<title>{self.says}</title>
<defs>
<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" \
markerHeight="7" orient="auto-start-reverse">
<path d="M0,0 L10,5 L0,10 z" fill="{INK}"/></marker>
<style>
text {{ font-family: "DejaVu Sans", Verdana, Helvetica, Arial, sans-serif; \
fill: {INK}; }}
.b {{ font-size: 14px; font-weight: bold; }}
.s {{ font-size: 12.5px; }}
.n {{ font-size: 12px; fill: {GREY}; }}
.arrow {{ fill: none; stroke: {INK}; stroke-width: 1.5; }}
</style>
</defs>
<rect width="{self.width}" height="{self.height}" fill="{PAPER}"/>
{body}
</svg>
"""


def rooms():
    p = Picture("rooms", 780, 500, "The rooms of the pool and the ways between them")
    p.box(30, 60, 150, 64, VIOLET, "waiting", "a request in line")
    p.box(310, 60, 150, 64, AMBER, "dialing", "look-up, TCP, TLS")
    p.box(310, 220, 150, 64, BLUE, "in use", "one request has it")
    p.box(590, 220, 150, 64, GREEN, "idle", "kept for the next")
    p.box(310, 380, 150, 64, RED, "closed", "with a reason")
    p.box(590, 380, 150, 64, AMBER, "draining", "read to its end")
    p.arrow((385, 16), (385, 58), label="a request, none idle", at=(395, 32),
            anchor="start")
    p.arrow((105, 16), (105, 58), label="a limit is reached", at=(115, 32),
            anchor="start")
    p.arrow((180, 92), (308, 92), label="a slot is free", at=(244, 84))
    p.arrow((105, 124), (105, 252), (308, 252),
            label="a connection was given back:\nthe first in line gets it",
            at=(113, 186), anchor="start")
    p.arrow((385, 124), (385, 218), label="connected", at=(393, 176), anchor="start")
    p.arrow((460, 92), (665, 92), (665, 218),
            label="its request was served otherwise", at=(470, 84), anchor="start")
    p.arrow((460, 240), (588, 240), label="body at its end", at=(524, 232))
    p.arrow((590, 264), (462, 264), label="the next request", at=(524, 282))
    p.arrow((385, 284), (385, 378), label="broken, or closed\nwith much unread",
            at=(377, 328), anchor="end")
    p.arrow((440, 284), (440, 320), (625, 320), (625, 378),
            label="closed with little unread", at=(450, 338), anchor="start")
    p.arrow((690, 380), (690, 286), label="in time", at=(682, 355), anchor="end")
    p.arrow((590, 412), (462, 412), label="too long", at=(524, 404))
    p.arrow((740, 252), (762, 252), (762, 476), (385, 476), (385, 446),
            label="idle for too long, too many, too old, or closed by the server",
            at=(574, 468))
    return p


def late_binding():
    p = Picture("late-binding", 780, 300,
                "A request takes the connection that is there first")
    for y, name in ((70, "request A"), (145, "request B"), (220, "new connection")):
        p.text(20, y + 4, name, "b", "start")
    p.box(150, 50, 270, 40, BLUE, "", "A has connection 1", radius=6)
    p.box(200, 125, 220, 40, VIOLET, "", "B: what comes first",
          radius=6)
    p.box(420, 125, 230, 40, BLUE, "", "B has connection 1", radius=6)
    p.box(200, 200, 330, 40, AMBER, "", "dialing for B", radius=6)
    p.box(530, 200, 220, 40, GREEN, "", "idle: ready for the next", radius=6)
    p.arrow((420, 90), (420, 123))
    p.line(200, 30, 200, 262)
    p.line(420, 30, 420, 262)
    p.line(530, 190, 530, 262)
    p.text(200, 280, "B begins", "n")
    p.text(420, 280, "A's body ends", "n")
    p.text(560, 280, "dial done, not needed", "n")
    p.text(430, 112, "handed over", "n", "start")
    p.text(20, 22, "time", "n", "start")
    p.arrow((60, 18), (750, 18))
    return p


def body_end():
    p = Picture("body-end", 780, 360, "What becomes of a connection when a response ends")
    p.box(20, 30, 190, 62, BLUE, "read to its end", "or no body at all")
    p.box(20, 140, 190, 62, BLUE, "closed before its end", "with block, close()")
    p.box(20, 250, 190, 62, RED, "dropped unclosed", "garbage collection")
    p.box(330, 140, 210, 62, AMBER, "draining", "in the background")
    p.box(620, 30, 140, 62, GREEN, "kept", "next in line, or idle")
    p.box(620, 250, 140, 62, RED, "closed", "and counted why")
    p.arrow((210, 61), (618, 61), label="at once", at=(410, 53))
    p.arrow((210, 171), (328, 171), label="256 KiB or less", at=(268, 163))
    p.arrow((435, 138), (435, 100), (665, 100), (665, 94),
            label="its end came within 0.05 s", at=(545, 118))
    p.arrow((540, 171), (690, 171), (690, 248),
            label="it did not", at=(615, 163))
    p.arrow((115, 202), (115, 226), (560, 226), (560, 265), (618, 265),
            label="more left", at=(400, 219))
    p.arrow((60, 250), (60, 204), dashed=True)
    p.text(225, 278, "as if it had been closed, and besides", "n", "start")
    p.text(225, 294, "a ResourceWarning, counted as leaked", "n", "start")
    p.text(435, 345, "256 KiB and 0.05 s: drain_bytes and drain_timeout", "n")
    return p


def limits():
    p = Picture("limits", 780, 400, "Which limit holds where")
    p.box(20, 40, 190, 330, PLAIN)
    p.text(115, 64, "waiting in line", "b")
    for row in range(5):
        p.box(45, 84 + 40 * row, 140, 28, VIOLET, "", f"request {row + 1}", radius=6)
    p.text(115, 312, "max_waiting", "s")
    p.text(115, 330, "beyond it: QueueFull", "n")
    p.text(115, 352, "each at most timeout.pool", "n")
    p.box(250, 40, 510, 330, PLAIN)
    p.text(505, 64, "all hosts: max_conns", "b")
    for host, (x, used, idle) in {
        "api.example.com": (270, 3, 2), "cdn.example.com": (515, 1, 3),
    }.items():
        p.box(x, 80, 225, 190, (PAPER, "#9aa7b2"))
        p.text(x + 112, 102, host, "b")
        for n in range(used):
            p.box(x + 12 + 68 * n, 114, 64, 28, BLUE, "", "in use", radius=6)
        for n in range(idle):
            p.box(x + 12 + 68 * n, 168, 64, 28, GREEN, "", "idle", radius=6)
        p.text(x + 112, 220, "idle: max_idle_conns_per_host", "n")
        p.text(x + 112, 252, "all: max_conns_per_host", "s")
    p.text(505, 300, "idle, of all hosts: max_idle_conns", "s")
    p.text(505, 324, "idle: closed after idle_conn_timeout", "n")
    p.text(505, 344, "each: max_conn_age, max_requests_per_conn", "n")
    p.arrow((210, 180), (248, 180))
    return p


def pictures():
    return [rooms(), late_binding(), body_end(), limits()]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for picture in pictures():
        (FOLDER / f"{picture.name}.svg").write_text(picture.svg())
