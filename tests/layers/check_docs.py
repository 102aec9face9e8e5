#!/usr/bin/python3
"""Checks that the documentation speaks of what is there: every file that a page names in backquotes, every evil
plugin (`hostile/x`) and every link between pages."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
FILE = re.compile(r"`((?:[a-z0-9_.-]+/)+[a-z0-9_.-]+\.(?:cpp|hpp|h|c|py|md|cmake|proto|toml))`")
EVIL = re.compile(r"`hostile/([a-z0-9_]+)`")
LINK = re.compile(r"\]\(([^)#:]+)\)")

rows = (ROOT / "tests/hostile/hostile_test.cpp").read_text()
wrong, count = [], 0
for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
    text = page.read_text()
    for name in FILE.findall(text):
        count += 1
        if not any((ROOT / top / name).exists() for top in ("", "src", "tests", "include", "docs", "proto")):
            if "plugin.toml" not in name:
                wrong.append(f"{page.relative_to(ROOT)}: there is no {name}")
    for name in EVIL.findall(text):
        count += 1
        if f'{{"{name}"' not in rows:
            wrong.append(f"{page.relative_to(ROOT)}: hostile_test.cpp has no row {name}")
    for target in LINK.findall(text):
        count += 1
        if not (page.parent / target).exists():
            wrong.append(f"{page.relative_to(ROOT)}: the link {target} leads nowhere")
print("\n".join(wrong) if wrong else f"{count} names and links are there")
sys.exit(1 if wrong else 0)
