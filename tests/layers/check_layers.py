#!/usr/bin/python3
"""Holds every #include of src, plugins and include against the layer table of docs/architecture.md.

The table stands between <!-- layers --> and <!-- /layers -->; its first column names a directory, its last
what files in it may include besides their own directory:
    base, sys            whole directories (proto: generated headers; include: include/mohhos)
    warden/protocol.hpp  one file of a directory
    manager [server*]    a whole directory, but only from files whose names match
    all                  anything
A directory without a row, and a quoted #include of no directory of the table and of no file beside, are errors.

check_layers.py [ROOT]          checks; prints each violation, exit status 1 if there is one
check_layers.py --self-test     shows that violations are found
"""
import fnmatch
import pathlib
import re
import sys
import tempfile

SUFFIXES = {".c", ".cpp", ".h", ".hpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<(mohhos/[^>]+)>)', re.M)


def read_table(root):
    """directory -> list of (allowed include pattern, pattern of the including file's name)"""
    text = (root / "docs/architecture.md").read_text()
    found = re.search(r"<!-- layers -->(.*?)<!-- /layers -->", text, re.S)
    if not found:
        sys.exit("docs/architecture.md: no table between <!-- layers --> and <!-- /layers -->")
    table = {}
    for line in found.group(1).splitlines():
        cells = [cell.strip().replace("\\", "").strip("`").rstrip("/") for cell in line.strip().strip("|").split("|")]
        if len(cells) < 3 or set(cells[0]) <= set("-: ") or cells[0] == "directory":
            continue
        rules = []
        for word in filter(None, (w.strip().strip("`") for w in cells[-1].split(","))):
            only = re.fullmatch(r"(\S+)\s+\[(\S+)\]", word)
            target, who = only.groups() if only else (word, "*")
            if target not in ("–", "-"):
                rules.append((target, who))
        table[cells[0]] = rules
    return table


def owner_of(include, root):
    """The row of the table that an included path belongs to."""
    if include.endswith(".pb.h"):
        return "proto"
    if include.startswith("mohhos/"):
        return "include"
    directory = include.split("/")[0]
    return directory if "/" in include and (root / "src" / directory).is_dir() else None


def may(rules, include, owner, file_name):
    return any(
        (target in ("all", owner, include)) and fnmatch.fnmatch(file_name, who) for target, who in rules
    )


def check(root):
    table = read_table(root)
    errors, files = [], 0
    rows = [(path.name, path) for path in sorted((root / "src").iterdir()) if path.is_dir()]
    rows += [(name, root / name) for name in ("plugins", "include") if (root / name).is_dir()]
    for name, top in rows:
        if name not in table:
            errors.append(f"{top.relative_to(root)}: has no row in docs/architecture.md")
            continue
        for path in sorted(p for p in top.rglob("*") if p.suffix in SUFFIXES):
            files += 1
            for match in INCLUDE.finditer(path.read_text(errors="replace")):
                include = match.group(1) or match.group(2)
                line = path.read_text(errors="replace")[: match.start()].count("\n") + 1
                place = f"{path.relative_to(root)}:{line}"
                beside = (path.parent / include).resolve()
                if beside.is_file() and top in beside.parents:
                    continue  # of its own directory
                owner = owner_of(include, root)
                if owner is None and ("all", "*") not in table[name]:  # (all: generated headers too)
                    errors.append(f'{place}: "{include}" names no directory of the table')
                elif owner not in (None, name) and not may(table[name], include, owner, path.name):
                    errors.append(f'{place}: {name} may not include "{include}" ({owner})')
    return errors, files


def self_test():
    table = (
        "<!-- layers -->\n| directory | job | may include |\n|---|---|---|\n| `low/` | a | – |\n"
        "| `mid/` | b | low |\n| `top/` | c | mid [main*], low/one.hpp |\n<!-- /layers -->\n"
    )
    cases = [  # file, its include, is it an error?
        ("low/a.hpp", "mid/b.hpp", True),
        ("mid/a.hpp", "low/b.hpp", False),
        ("mid/a.hpp", "mid/b.hpp", False),
        ("mid/a.hpp", "top/b.hpp", True),
        ("top/main.cpp", "mid/b.hpp", False),
        ("top/other.cpp", "mid/b.hpp", True),
        ("top/other.cpp", "low/one.hpp", False),
        ("top/other.cpp", "low/two.hpp", True),
        ("mid/a.hpp", "mohhos/v1/x.pb.h", True),
        ("mid/a.hpp", "b.hpp", True),
        ("mid/a.hpp", "unknown/b.hpp", True),
        ("stray/a.hpp", "low/b.hpp", True),
    ]
    for file, include, wrong in cases:
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            (root / "docs").mkdir()
            (root / "docs/architecture.md").write_text(table)
            for directory in ("low", "mid", "top", file.split("/")[0]):
                (root / "src" / directory).mkdir(parents=True, exist_ok=True)
            (root / "src" / file).write_text(f'#pragma once\n#include "{include}"\n')
            errors, _ = check(root)
            if bool(errors) != wrong:
                sys.exit(f"self-test: {file} including {include}: expected {wrong}, got {errors}")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    if "--self-test" in sys.argv:
        self_test()
    else:
        here = pathlib.Path(__file__).resolve().parents[2]
        errors, files = check(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else here)
        print("\n".join(errors) if errors else f"{files} files keep the layers")
        sys.exit(1 if errors else 0)
