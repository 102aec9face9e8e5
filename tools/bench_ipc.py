#!/usr/bin/python3
"""The table of `tools/bench ipc`: bench_ipc.py RESULT.json [--plugins PLUGINS.json] [--docs DOCS]

Reads what the program bench_ipc measured, prints it beside limits and peers, keeps the table in the same JSON, and draws
the charts beside it. --docs: also puts the table and the charts into DOCS/performance.md.

Ours and its limit were measured in turns; a ratio is the median of the ratios of each round.
"""
import argparse
import json
import pathlib
import re
import statistics

import bench_charts

FLOW = "Messages per second, 64 B"
HEADED = "plain ring, with header and time"

# Section, figure, group, ours, limit (nothing: for information), target. '≤' and '≥' are of the ratio.
ROWS = [
    ("One way, both spin", "ring, 64 B", "spinning", "ring 64", "plain ring 64", "≤ 1.00"),
    ("One way, both spin", "ring, 64 B", "spinning", "ring 64", "lap ring 64, with time", "≤ 1.15"),
    ("One way, both spin", "ring, 64 B", "spinning", "ring 64", "lap ring 64", ""),
    ("One way, both spin", "ring, 64 B", "spinning", "ring 64", "cache line", ""),
    ("One way, both spin", "ring, 48 B: one line", "spinning", "ring 48", "lap ring 48", ""),
    ("One way, both spin", "ring, 1 MB, not touched", "spinning", "ring 1 MB, untouched", "ring 64", "≤ 1.20"),
    ("One way, both spin", "ring, 50 µs of spinning first", "spinning", "ring 64, 50 µs of spinning", "ring 64", "≤ 1.30"),
    ("One way, both spin", "endpoint, 64 B", "spinning", "endpoint 64", "ring 64", ""),
    ("One way, both spin", "endpoint, 50 µs of spinning first", "spinning", "endpoint 64, 50 µs of spinning", "endpoint 64", "≤ 1.30"),
    ("One way, receiver asleep", "ring, same core", "asleep", "ring, same core", "eventfd, same core", "≤ 1.05"),
    ("One way, receiver asleep", "endpoint, same core", "asleep", "endpoint, same core", "eventfd, same core", "≤ 1.05"),
    ("One way, receiver asleep", "endpoint, same core", "asleep", "endpoint, same core", "futex, same core", ""),
    ("One way, receiver asleep", "ring, two cores", "asleep", "ring, two cores", "eventfd, two cores", "≤ 1.05"),
    ("One way, receiver asleep", "endpoint, two cores", "asleep", "endpoint, two cores", "eventfd, two cores", "≤ 1.05"),
    ("One way, receiver asleep", "endpoint, two cores", "asleep", "endpoint, two cores", "futex, two cores", ""),
    (FLOW, "ring, each by itself", "flow", "ring", HEADED, "≥ 0.90"),
    (FLOW, "ring, batched", "flow", "ring, batched", HEADED, "≥ 0.90"),
    (FLOW, "endpoint, each by itself", "flow", "endpoint", HEADED, ""),
    (FLOW, "endpoint, batched", "flow", "endpoint, batched", HEADED, ""),
    (FLOW, "endpoint, receiver sleeps when idle", "flow", "endpoint, receiver sleeps", HEADED, "≥ 0.90"),
    (FLOW, "endpoint, batched, receiver sleeps when idle", "flow", "endpoint, batched, receiver sleeps", HEADED, "≥ 0.90"),
    (FLOW, "ring, each by itself", "flow", "ring", "lap ring, with time", ""),
    (FLOW, "ring, each by itself", "flow", "ring", "lap ring", ""),
    (FLOW, "ring, each by itself", "flow", "ring", "plain ring", "≥ 0.90"),
    (FLOW, "ring, 48 B: one line with its header", "flow", "ring 48", "plain ring", "≥ 0.90"),
    (FLOW, "ring, batched", "flow", "ring, batched", "plain ring", "≥ 0.90"),
    (FLOW, "ring, receiver sleeps when idle for 50 µs", "flow", "ring, sleeps after 50 µs", "plain ring", "≥ 0.90"),
    (FLOW, "ring, batched, receiver sleeps when idle for 50 µs", "flow", "ring, batched, sleeps after 50 µs", "plain ring", "≥ 0.90"),
    (FLOW, "ring, receiver sleeps whenever it is idle", "flow", "ring, receiver sleeps", "plain ring", "≥ 0.90"),
    (FLOW, "ring, batched, receiver sleeps whenever it is idle", "flow", "ring, batched, receiver sleeps", "plain ring", "≥ 0.90"),
    (FLOW, "ring, batched", "flow", "ring, batched", "plain ring, batched", ""),
    (FLOW, "ring of 256 KB, each by itself", "flow", "ring of 256 KB", "plain ring", ""),
    (FLOW, "ring of 256 KB, batched", "flow", "ring of 256 KB, batched", "plain ring", ""),
    (FLOW, "endpoint, each by itself", "flow", "endpoint", "plain ring", ""),
    (FLOW, "endpoint, batched", "flow", "endpoint, batched", "plain ring", ""),
    (FLOW, "(plain ring, with header and time)", "flow", HEADED, "plain ring", ""),
    (FLOW, "(plain ring, both indices cached)", "flow", "plain ring, both indices cached", "plain ring", ""),
    ("Being recorded, 64 B", "endpoint that was recorded once", "taps", "recorded once", "never recorded", "≥ 0.95"),
    ("Being recorded, 64 B", "endpoint that is being recorded", "taps", "being recorded", "never recorded", ""),
]
NOISE = 0.05  # what 'does not fall' and 'at most' leave for the last digit of a median


def median(values):
    return statistics.median(values) if values else None


def ratio_of(ours, limit):
    pairs = [a / b for a, b in zip(ours, limit) if b]
    return statistics.median(pairs) if pairs else None


def met(target, ratio):
    if not target or ratio is None:
        return ""
    bound = float(target[2:])
    return "met" if (ratio <= bound if target[0] == "≤" else ratio >= bound) else "NOT met"


def nanoseconds(ns):
    if ns is None:
        return "–"
    for unit, scale in (("ms", 1e6), ("µs", 1e3)):
        if ns >= 10 * scale:
            return f"{ns / scale:.1f} {unit}"
    return f"{ns:.0f} ns" if ns >= 100 else f"{ns:.1f} ns"


def rate(value):
    if value is None:
        return "–"
    for unit, scale in (("M/s", 1e6), ("k/s", 1e3)):
        if value >= scale:
            return f"{value / scale:.2f} {unit}"
    return f"{value:.0f} /s"


def line(section, figure, measured, limit, limit_name, ratio, target):
    return {"section": section, "figure": figure, "measured": measured, "limit": limit, "limit_name": limit_name,
            "ratio": ratio, "target": target, "verdict": met(target, ratio)}


def limit_rows(data):
    lines = []
    for section, figure, group, ours, limit, target in ROWS:
        rows = {row["name"]: row for row in data.get("groups", {}).get(group, [])}
        if ours not in rows or limit not in rows:
            continue
        show = rate if group in ("flow", "taps") else nanoseconds
        a, b = rows[ours]["values"], rows[limit]["values"]
        lines.append(line(section, figure, show(median(a)), show(median(b)), limit, ratio_of(a, b), target))
    for fan in data.get("fan", []):
        name = f"{fan['name']}: {fan['active']} of {fan['channels']} channels active"
        lines.append(line("Messages per second, many channels", name, rate(median(fan["among_idle"])),
                          rate(median(fan["alone"])), "the same without the idle ones",
                          ratio_of(fan["among_idle"], fan["alone"]), f"≥ {1 - NOISE:.2f}"))
    if "idle_memory" in data:
        idle = data["idle_memory"]
        parts = f"ring {idle['ring_kib']:.1f}, heap {idle['heap_kib']:.1f}, page tables {idle['tables_kib']:.1f}, " \
                f"kernel {idle['kernel_kib']:.1f}"
        lines.append(line("Memory", f"an idle channel, both ends ({parts})", f"{idle['total_kib']:.1f} KiB", "24 KiB",
                          "promised", idle["total_kib"] / 24, "≤ 1.00"))
        lines.append(line("Memory", "the ring of one that was full, given back", f"{idle['returned_kib']:.1f} KiB",
                          f"{idle['ring_kib']:.1f} KiB", "ring, after one message", idle["returned_kib"] / idle["ring_kib"], ""))
    return lines


def plugin_rows(data, path):
    """Two plugins of a real mohhosd; a run of its own, so its ratios are of medians that were not measured in turns."""
    try:
        with open(path) as file:
            runs = {run["name"].split("/iterations")[0]: run for run in json.load(file)["benchmarks"]
                    if run.get("run_type") != "aggregate"}
    except (OSError, ValueError, KeyError, TypeError):
        return []
    groups = {name: {row["name"]: row for row in rows} for name, rows in data.get("groups", {}).items()}

    def limit(group, name):
        return median(groups.get(group, {}).get(name, {}).get("values", []))

    lines = []
    for figure, run, counter, group, name, show in (
            ("64 B one way, spinning, p50", "latency/spinning", "p50_ns", "spinning", "ring 64", nanoseconds),
            ("64 B one way, spinning, p99", "latency/spinning", "p99_ns", "spinning", "ring 64", nanoseconds),
            ("64 B one way, asleep, p50", "latency/sleeping", "p50_ns", "asleep", "eventfd, two cores", nanoseconds),
            ("64 B one way, asleep, p99", "latency/sleeping", "p99_ns", "asleep", "eventfd, two cores", nanoseconds),
            ("messages per second, 64 B", "throughput", "messages_per_second", "flow", "plain ring", rate)):
        value, best = runs.get(run, {}).get(counter), limit(group, name)
        if value:
            lines.append(line("Plugin to plugin, through a real mohhosd", figure, show(value), show(best), name,
                              value / best if best else None, ""))
    return lines


def as_text(table):
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    out = []
    for number, row in enumerate(table):
        out.append("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            out.append("  ".join("-" * w for w in widths))
    return "\n".join(out)


def as_markdown(table):
    out = ["| " + " | ".join(row) + " |" for row in table]
    out.insert(1, "|---|" + "---:|" * (len(table[0]) - 1))
    return "\n".join(out)


def limit_table(lines):
    table = [("figure", "measured", "limit", "which", "ratio", "target", "")]
    for entry in lines:
        ratio = "–" if entry["ratio"] is None else f"{entry['ratio']:.2f}"
        table.append((entry["figure"], entry["measured"], entry["limit"], entry["limit_name"], ratio, entry["target"],
                      entry["verdict"]))
    return table


def latency_table(data):
    table = [("64 B one way", "waiting", "p50", "p99", "p99.9", "p50 beside ours")]
    for group, waiting in (("distribution, spinning", "spins"), ("distribution, asleep", "sleeps")):
        rows = data.get("groups", {}).get(group, [])
        ours = next((row.get("p50") for row in rows if row["name"] == "mohhos"), None)
        for row in rows:
            if row.get("p50"):
                table.append((row["name"], waiting, *(nanoseconds(row[p]) for p in ("p50", "p99", "p999")),
                              f"{row['p50'] / ours:.2f} ×" if ours else "–"))
            else:
                table.append((row["name"], waiting, "–", "–", "–", row.get("absent", "")))
    return table


def flow_table(data):
    rows = data.get("groups", {}).get("sizes", [])
    sizes = sorted({row["size"] for row in rows})
    table = [("messages per second", *(bench_charts.bytes_text(size) for size in sizes))]
    ours = {row["size"]: row["values"] for row in rows if row["name"] == "mohhos"}
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = []
        for size in sizes:
            row = next((r for r in rows if r["name"] == name and r["size"] == size), {})
            if not row.get("values"):
                cells.append(row.get("absent", "–"))
                continue
            beside = "" if name == "mohhos" else f" ({ratio_of(row['values'], ours.get(size, [])) or 0:.2f} ×)"
            cells.append(rate(median(row["values"])) + beside)
        table.append((name, *cells))
    return table


def parts_table(data):
    return [("one message, one thread, everything in the cache", "ns")] + [
        (part["name"], f"{part['ns']:.1f}") for part in data.get("parts", [])]


def facts(data):
    machine = data["machine"]
    return (f"{machine['cpu']}, {machine['cpus']} CPUs{' (virtual)' if machine['virtual'] else ''}, {machine['memory']}; "
            f"{machine['kernel']}; {machine['compiler']}, Release; load {machine['load']:.2f} when it began; "
            f"{machine['date']}")


def missing(data):
    return [f"{peer['peer']} is not compared with: install {peer['packages']} (tools/install-deps --bench) and run again"
            for peer in data.get("missing", [])]


def report(data, lines, render):
    """Headings and tables, as text or as markdown."""
    out = []
    for section in dict.fromkeys(entry["section"] for entry in lines):
        out += [render["head"](section), render["table"](limit_table([e for e in lines if e["section"] == section])), ""]
    for head, table in (("Beside others: latency", latency_table(data)), ("Beside others: messages per second", flow_table(data)),
                        ("Where the nanoseconds go", parts_table(data))):
        if len(table) > 1:
            out += [render["head"](head), render["table"](table), ""]
    out += [f"{render['item']}{words}" for words in missing(data)]
    return "\n".join(out).rstrip() + "\n"


def write_docs(data, lines, docs):
    page = docs / "performance.md"
    markdown = {"head": lambda words: f"### {words}\n", "table": as_markdown, "item": "- "}
    for name, text in (("table", report(data, lines, markdown)), ("machine", facts(data) + ".\n")):
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        old = page.read_text()
        if start not in old or end not in old:
            raise SystemExit(f"bench_ipc: {page} has no {start.strip()} … {end}")
        page.write_text(re.sub(re.escape(start) + ".*?" + re.escape(end), lambda _: start + text + end, old, flags=re.S))
    bench_charts.write(data, docs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=pathlib.Path)
    parser.add_argument("--plugins", type=pathlib.Path)
    parser.add_argument("--docs", type=pathlib.Path)
    options = parser.parse_args()
    data = json.loads(options.result.read_text())
    lines = limit_rows(data) + (plugin_rows(data, options.plugins) if options.plugins else [])
    print(facts(data), end="\n\n")
    print(report(data, lines, {"head": lambda words: f"== {words}", "table": as_text, "item": ""}))
    counted = [entry for entry in lines if entry["verdict"]]
    print(f"{sum(entry['verdict'] == 'met' for entry in counted)} of {len(counted)} targets met")
    data["table"] = lines
    options.result.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    if {"distribution, spinning", "sizes"} & data.get("groups", {}).keys():
        for chart in bench_charts.write(data, options.result.parent):
            print(chart)
    if options.docs:
        write_docs(data, lines, options.docs)


main()
