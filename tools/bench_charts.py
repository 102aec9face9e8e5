#!/usr/bin/python3
"""Draws the two charts of docs/performance.md as SVG, by hand: bench_charts.py RESULT.json DIRECTORY

Colours are Okabe and Ito's, which colour-blind readers can tell apart; each line has a marker or dash of its own
besides. All axes that span decades are logarithmic.
"""
import html
import json
import math
import pathlib
import statistics
import sys

STYLE = {  # colour, marker, dash
    "mohhos": ("#0072B2", "circle", ""),
    "iceoryx": ("#D55E00", "square", "7 3"),
    "seqpacket socket": ("#009E73", "diamond", "2 3"),
    "ZeroMQ ipc": ("#CC79A7", "triangle", "9 3 2 3"),
    "gRPC, Unix socket": ("#B08900", "cross", "4 4"),
}
TEXT, GRID, FRAME = "#222222", "#dddddd", "#888888"


class Svg:
    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="13" role="img" aria-label="{html.escape(title)}">',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def line(self, x1, y1, x2, y2, colour=GRID, width=1.0):
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def text(self, x, y, words, anchor="middle", size=13, weight="normal", turn=None):
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn is not None else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
            f'fill="{TEXT}"{turned}>{html.escape(words)}</text>'
        )

    def path(self, points, name):
        colour, _, dash = STYLE[name]
        width = 3 if name == "mohhos" else 2
        d = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>')

    def marker(self, x, y, name):
        colour, shape, _ = STYLE[name]
        r = 5
        fill = f'fill="{colour}" stroke="#ffffff" stroke-width="1"'
        self.parts.append({
            "circle": f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" {fill}/>',
            "square": f'<rect x="{x - r:.1f}" y="{y - r:.1f}" width="{2 * r}" height="{2 * r}" {fill}/>',
            "diamond": f'<path d="M{x:.1f} {y - r - 1:.1f} l{r + 1} {r + 1} l-{r + 1} {r + 1} l-{r + 1} -{r + 1}z" {fill}/>',
            "triangle": f'<path d="M{x:.1f} {y - r - 1:.1f} l{r + 1} {2 * r + 1} h-{2 * r + 2}z" {fill}/>',
            "cross": f'<path d="M{x - r:.1f} {y - r:.1f} l{2 * r} {2 * r} m0 -{2 * r} l-{2 * r} {2 * r}" '
                     f'stroke="{colour}" stroke-width="3" fill="none"/>',
        }[shape])

    def legend(self, x, y, names):
        for name in names:
            self.path([(x, y), (x + 34, y)], name)
            self.marker(x + 17, y, name)
            self.text(x + 42, y + 4.5, name, "start", weight="bold" if name == "mohhos" else "normal")
            x += 76 + 7.4 * len(name)

    def finish(self):
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def duration(ns):
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= scale:
            return f"{ns / scale:g} {unit}"
    return f"{ns:g} ns"


def bytes_text(size):
    for unit, scale in (("MB", 1 << 20), ("KB", 1 << 10)):
        if size >= scale:
            return f"{size // scale} {unit}"
    return f"{size} B"


def rate_text(rate):
    for unit, scale in (("M", 1e6), ("k", 1e3)):
        if rate >= scale:
            return f"{rate / scale:g} {unit}"
    return f"{rate:g}"


def names_of(data):
    found = [row["name"] for rows in data["groups"].values() for row in rows if row["values"]]
    return [name for name in STYLE if name in found]


SHARES = [0, 0.5, 0.9, 0.99, 0.999, 0.9999]


def latency_chart(data):
    """One panel for receivers that spin and one for those that sleep: the share of messages that took at most so long."""
    panels = [("distribution, spinning", "receiver looks again and again"), ("distribution, asleep", "receiver sleeps")]
    width, height, top, bottom, left, gap, right = 1000, 440, 84, 62, 76, 60, 24
    panel_width = (width - left - gap - right) / 2
    svg = Svg(width, height, "Latency distribution of a 64-byte message, one way")
    svg.text(width / 2, 26, "64 bytes one way: share of the messages that took at most …", size=16, weight="bold")
    svg.legend(left, 52, names_of(data))

    low, high = math.log10(50), 7.0  # 50 ns … 10 ms

    def across(ns, x0):
        return x0 + (min(max(math.log10(ns), low), high) - low) / (high - low) * panel_width

    def up(share):
        return height - bottom - -math.log10(max(1 - share, 1e-4)) / 4 * (height - top - bottom)

    for number, (group, title) in enumerate(panels):
        x0 = left + number * (panel_width + gap)
        svg.text(x0 + panel_width / 2, top - 8, title, weight="bold")
        for exponent in range(2, 8):
            for step in range(1, 10):
                ns = step * 10**exponent
                if ns > 1e7 or ns < 50:
                    continue
                x = across(ns, x0)
                if step == 1:
                    svg.line(x, top, x, height - bottom)
                    svg.text(x, height - bottom + 18, duration(ns), size=12)
                else:
                    svg.line(x, height - bottom, x, height - bottom + 4, FRAME)
        for share in SHARES:
            y = up(share)
            svg.line(x0, y, x0 + panel_width, y)
            svg.text(x0 - 8, y + 4, f"{share * 100:g} %", "end", 12)
        svg.line(x0, top, x0, height - bottom, FRAME)
        svg.line(x0, height - bottom, x0 + panel_width, height - bottom, FRAME)
        svg.text(x0 + panel_width / 2, height - 18, "latency, one way (logarithmic)")
        for row in reversed(data["groups"].get(group, [])):
            if not row.get("buckets"):
                continue
            points, seen = [], 0
            for ns, count in row["buckets"]:
                seen += count
                share = seen / row["count"]
                points.append((across(ns, x0), up(share)))
                if share >= 0.9999:
                    break
            points.insert(0, (points[0][0], up(0)))
            svg.path(points, row["name"])
            for share, field in ((0.5, "p50"), (0.99, "p99"), (0.999, "p999")):
                svg.marker(across(row[field], x0), up(share), row["name"])
    return svg.finish()


def flow_chart(data):
    """Messages per second over the size of the payload."""
    rows = [row for row in data["groups"].get("sizes", []) if row["values"]]
    width, height, top, bottom, left, right = 1000, 480, 78, 62, 86, 30
    svg = Svg(width, height, "Messages per second by payload size")
    svg.text(width / 2, 26, "Messages per second, one sender, one receiver, nothing lost", size=16, weight="bold")
    svg.legend(left, 52, names_of(data))
    if not rows:
        return svg.finish()
    sizes = sorted({row["size"] for row in rows})
    rates = [statistics.median(row["values"]) for row in rows]
    low, high = math.floor(math.log10(min(rates))), math.ceil(math.log10(max(rates)))
    first, last = math.log2(sizes[0]), math.log2(sizes[-1])

    def across(size):
        return left + 24 + (math.log2(size) - first) / (last - first) * (width - left - right - 48)

    def up(rate):
        return height - bottom - (math.log10(rate) - low) / (high - low) * (height - top - bottom)

    for exponent in range(low, high + 1):
        y = up(10**exponent)
        svg.line(left, y, width - right, y)
        svg.text(left - 8, y + 4, rate_text(10**exponent), "end", 12)
        for step in range(2, 10):
            if exponent < high:
                svg.line(left - 4, up(step * 10**exponent), left, up(step * 10**exponent), FRAME)
    for size in sizes:
        svg.line(across(size), top, across(size), height - bottom)
        svg.text(across(size), height - bottom + 18, bytes_text(size), size=12)
    svg.line(left, top, left, height - bottom, FRAME)
    svg.line(left, height - bottom, width - right, height - bottom, FRAME)
    svg.text((left + width - right) / 2, height - 18, "payload (logarithmic)")
    svg.text(22, (top + height - bottom) / 2, "messages per second (logarithmic)", turn=-90)
    for name in reversed(names_of(data)):
        points = [(across(r["size"]), up(statistics.median(r["values"]))) for r in rows if r["name"] == name]
        if not points:
            continue
        svg.path(points, name)
        for x, y in points:
            svg.marker(x, y, name)
    return svg.finish()


def write(data, directory):
    directory = pathlib.Path(directory)
    written = []
    for name, draw in (("performance-latency.svg", latency_chart), ("performance-flow.svg", flow_chart)):
        (directory / name).write_text(draw(data))
        written.append(directory / name)
    return written


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        print(*write(json.load(file), sys.argv[2]), sep="\n")
