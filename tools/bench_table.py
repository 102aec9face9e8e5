#!/usr/bin/python3
"""Prints the table of promised figures from the JSON of the benchmarks: bench_table.py RESULT.json…

A figure and its limit come from the same run. A benchmark that did not run leaves a dash.
"""
import json
import sys

# What, what US-004 promises, measured, limit, unit, and whether more is better. 'name:counter' is a counter of a
# benchmark, 'name' its time in nanoseconds.
ROWS = [
    ("load, request → LOADED (median of 100)", "< 100 ms", "load_100_plugins:p50_us", "fork_and_exec/us", "µs", False),
    ("load, 99th of 100", "< 100 ms", "load_100_plugins:p99_us", "fork_and_exec/us", "µs", False),
    ("start, request → RUNNING (median of 100)", "< 50 ms", "start_100_plugins:p50_us", "eventfd_one_way/us", "µs", False),
    ("ring, one way, 64 B, spinning", "< 1 ms", "ring_spinning/64:one_way_ns", "plain_ring_spinning_64:one_way_ns", "ns", False),
    ("ring, one way, 48 B (one cache line), spinning", "< 1 ms", "ring_spinning/48:one_way_ns", "plain_ring_spinning_64:one_way_ns", "ns", False),
    ("ring, one way, 64 B, asleep", "< 1 ms", "ring_asleep:one_way_ns", "futex_asleep:one_way_ns", "ns", False),
    ("plugin to plugin, one way, 64 B, spinning", "< 1 ms", "latency/spinning:p50_ns", "plain_ring_spinning_64:one_way_ns", "ns", False),
    ("plugin to plugin, one way, 64 B, asleep", "< 1 ms", "latency/sleeping:p50_ns", "eventfd_one_way", "ns", False),
    ("plugin to plugin, asleep, 99th percentile", "< 1 ms", "latency/sleeping:p99_ns", "eventfd_one_way", "ns", False),
    ("ring, messages per second, 64 B, one pair", "> 10,000", "ring_messages/64:items_per_second", "plain_ring_messages_64:items_per_second", "/s", True),
    ("plugin to plugin, messages per second, 64 B", "> 10,000", "throughput:messages_per_second", "plain_ring_messages_64:items_per_second", "/s", True),
    ("private memory of an idle plugin (mean of 50)", "< 2 MB", "idle_plugins:kib", "idle_c_program:kib", "KiB", False),
]
TO_NS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def read(paths):
    values = {}
    for path in paths:
        try:
            with open(path) as file:
                runs = json.load(file)["benchmarks"]
        except (OSError, ValueError):
            continue
        for run in runs:
            if run.get("error_occurred") or run.get("aggregate_name", "median") != "median":
                continue
            # "name/iterations:1/manual_time_median" is "name"
            name = "/".join(
                part
                for part in run.get("run_name", run["name"]).split("/")
                if ":" not in part and part not in ("manual_time", "real_time", "process_time")
            )
            values[name] = run["real_time"] * TO_NS[run.get("time_unit", "ns")]
            values[name + "/us"] = values[name] / 1e3
            for key, value in run.items():
                if isinstance(value, (int, float)):
                    values[f"{name}:{key}"] = value
    return values


def show(value, unit):
    if value is None:
        return "–"
    if unit == "/s":
        return f"{value / 1e6:.2f} M/s"
    if unit == "ns" and value >= 10000:
        return f"{value / 1e3:.1f} µs"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def main():
    values = read(sys.argv[1:])
    table = [("figure", "specification", "limit", "measured", "ratio")]
    for figure, promise, measured, limit, unit, more_is_better in ROWS:
        got, best = values.get(measured), values.get(limit)
        ratio = "–"
        if got and best:
            ratio = f"{(best / got if more_is_better else got / best):.2f}"
        table.append((figure, promise, show(best, unit), show(got, unit), ratio))
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    for number, row in enumerate(table):
        print("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * w for w in widths))


main()
