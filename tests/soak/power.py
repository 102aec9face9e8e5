#!/usr/bin/env python3
"""Power that fails: a machine with mohhosd at full load, and its plug.

  power.py BUILD_DIR [SECONDS [SEED]]    0 (ctest): two machines and a few disks; else until the time is over

A machine under QEMU (tools/vm) sends durable messages and says after each sync what is on disk (power.cpp). At some
moment QEMU is killed with SIGKILL: memory and page cache of the machine are gone. Every write and flush that reached
its disk was recorded (disk_log.py). From that record come disks as they may be after a cut at any other moment of the
same run, too, and for each way in which a disk may deal with its write cache; their file system is recovered
(e2fsck), and their journal read as a new mohhosd reads it (power_judge.cpp). One of them, that of the cut itself, is
the disk of the next machine: its kernel, its mohhosd and a plugin must find exactly that.

The report's last line is one JSON object, as tests/soak/report.hpp writes it. Exit status 77: skipped.
"""
import ctypes
import json
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter

from disk_log import SECTOR, Disk, read_log

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VM = os.path.join(ROOT, "tools", "vm")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
FILES = ["tests/soak_power", "bin/mohhosd", "bin/mohhos-manager", "bin/mohhos-plugin-host", "bin/plugctl",
         "plugins/soak_vault.so", "lib/libmohhos.so.0"]
FILE_SYSTEM = 64 << 20
MARK_SECTORS = 128
JOURNAL = "/root/var/lib/mohhos/journal"
SET_UP, LOADED, SENDING = 1, 2, 4  # power.cpp
PATIENCE = 120  # seconds for a machine to come so far


def what_is_missing():
    for program in ("qemu-system-x86_64", "mke2fs", "e2fsck", "debugfs", "cpio", "busybox"):
        if shutil.which(program, path=PATH) is None:
            return f"no {program}: tools/install-deps --vm"
    cache = os.environ.get("MOHHOS_VM_CACHE", os.path.join(ROOT, "build", "vm"))
    if not os.path.isdir(os.path.join(cache, "kernel", "boot")):
        return "no kernel for the machine yet: tools/vm build/test true fetches it"
    return None


def run(*command, **options):
    return subprocess.run(command, env={**os.environ, "PATH": PATH}, capture_output=True, text=True, check=False,
                          **options)


class Known:
    """What is known at a place of the log: the marks before it."""

    def __init__(self, before):
        self.before = before  # (life, lane) -> first, next, count: what came back at the start of this round
        self.phase = 0
        self.synced = {}      # (life, lane) -> allowed, synced

    def take(self, data):
        """A write of marks: the machine makes one write of two that lie side by side."""
        for at in range(0, len(data), SECTOR):
            self.take_sector(data[at:at + SECTOR])

    def take_sector(self, sector):
        magic, phase, _, life, *numbers = struct.unpack("<8Q", sector[:64])
        if magic != 0x4B52414D5245574F:
            return
        if phase != SENDING:
            self.phase = phase
            return
        for lane in (0, 1):
            self.synced[life, lane] = (numbers[2 + lane], numbers[lane])

    def must_be_there(self):
        """How many messages are on disk and cannot be acknowledged."""
        old = sum(count for _, _, count in self.before.values()) if self.phase < LOADED else 0
        return old + sum(synced - allowed for allowed, synced in self.synced.values())

    def faults(self, found):
        """How many of them a journal has not, and sentences about what it has and should not."""
        words, missing = [], 0
        for series, (allowed, synced) in self.synced.items():
            first, behind, count, whole = found.get(series, (synced, synced, 0, synced))
            lost = min(synced - allowed, max(0, first - allowed) + max(0, synced - whole))
            if lost:
                words.append(f"{series}: {allowed} to {synced} must be there; {count} of {first} to {behind} are, "
                             f"and all up to {whole}")
                missing += lost
        for series, (first, behind, count) in self.before.items():
            now = found[series][:3] if series in found else None
            if self.phase < LOADED and now != (first, behind, count):
                words.append(f"{series}: {now} instead of {first, behind, count}, and nothing was acknowledged")
                missing += count
            elif now is not None and (now[0] < first or now[1] != behind):
                words.append(f"{series}: {now} came of {first, behind, count}")
                missing += 1
        return missing, words


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Machine:
    """A boot, until its plug is pulled."""

    def __init__(self, directory, number, expected):
        self.lines = []
        self.rest = b""
        command = [VM, "--boot", directory, "--disk", os.path.join(directory, "data.img"), "--log",
                   os.path.join(directory, "data.log"), "tests/soak_power", str(number), str(expected), "/dev/vdc",
                   str(FILE_SYSTEM)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        preexec_fn=die_with_parent)

    def read(self, until):
        """Lines of the console until the time is over, the machine ends or one satisfies `until`."""
        deadline = time.monotonic() + PATIENCE if callable(until) else until
        out = self.process.stdout.fileno()
        while time.monotonic() < deadline:
            if not select.select([out], [], [], max(0, deadline - time.monotonic()))[0]:
                break
            data = os.read(out, 65536)
            if not data:
                break
            *lines, self.rest = (self.rest + data).split(b"\n")
            lines = [line.decode(errors="replace").strip() for line in lines]
            self.lines += lines
            if callable(until) and any(until(line) for line in lines):
                return True
        return False

    def cut(self):
        self.process.send_signal(signal.SIGKILL)
        self.read(time.monotonic() + 1)
        self.process.wait()


class Soak:
    def __init__(self, build, scratch, seed):
        self.build = build
        self.scratch = scratch
        self.lots = random.Random(seed)
        self.found = Counter()  # faults
        self.of = Counter()     # what they are counted of
        self.notes = []
        self.before = {}        # what the machine of this round must give back

    def path(self, name):
        return os.path.join(self.scratch, name)

    def note(self, words):
        self.notes.append(words)
        if len(self.notes) <= 10:
            print("power:", words, file=sys.stderr, flush=True)

    def prepare(self):
        made = run(VM, "--prepare", self.scratch, self.build, *FILES,
                   os.path.relpath(os.path.realpath(os.path.join(self.build, "lib/libmohhos.so.0")), self.build))
        if made.returncode != 0:
            raise RuntimeError(made.stderr)
        with open(self.path("data.img"), "wb") as image:
            image.truncate(FILE_SYSTEM + MARK_SECTORS * SECTOR)
        run("mke2fs", "-qF", "-t", "ext4", "-J", "size=4", self.path("data.img"), f"{FILE_SYSTEM >> 10}K")

    # --- a machine ---

    def machine(self, number, seconds):
        """Boots it, looks at what comes back, and pulls the plug while it sends."""
        shutil.copyfile(self.path("data.img"), self.path("base.img"))
        open(self.path("data.log"), "wb").close()
        expected = sum(count for _, _, count in self.before.values())
        machine = Machine(self.scratch, number, expected)
        try:
            sends = machine.read(lambda line: line.startswith("synced"))
            machine.read(time.monotonic() + seconds)
        finally:
            machine.cut()
        if not sends or any(line.startswith("failed") for line in machine.lines):
            raise RuntimeError("the machine does not send:\n" + "\n".join(machine.lines[-60:]))
        self.check_what_came(machine.lines, expected)
        return machine.lines

    def check_what_came(self, lines, expected):
        came = {}
        for line in lines:
            if match := re.match(r"came (\d+) (\d+) (\d+) (\d+) (\d+)$", line):
                life, lane, *rest = map(int, match.groups())
                came[life, lane] = tuple(rest)
            if match := re.match(r"faults torn (\d+) order (\d+) unflagged (\d+)$", line):
                for what, count in zip(("boot torn", "boot order", "boot unflagged"), match.groups()):
                    self.found[what] += int(count)
        for series in self.before.keys() | came.keys():
            if came.get(series) != self.before.get(series):
                self.found["boot missing"] += 1
                self.note(f"a machine gave back {came.get(series)} of {series}, and {self.before.get(series)} "
                          "were on its disk")
        self.of["redelivered"] += expected
        self.of["restores"] += 1 if self.before else 0

    # --- the disks that it may leave ---

    def judge(self, image):
        """The journal of a disk: (life, lane) -> first, next, count, and up to where none is missing."""
        checked = run("e2fsck", "-fp", image)
        if checked.returncode >= 4:
            self.found["file systems"] += 1
            self.note(f"e2fsck: {checked.stdout[-300:]}")
            return {}
        shutil.rmtree(self.path("journal"), ignore_errors=True)
        run("debugfs", "-R", f"rdump {JOURNAL} {self.scratch}", image)
        os.makedirs(self.path("journal"), exist_ok=True)
        judged = run(os.path.join(self.build, "tests/power_judge"), self.path("journal"))
        found = {}
        for line in judged.stdout.splitlines():
            what, *rest = line.split()
            if what == "series":
                life, lane, *numbers = map(int, rest)
                found[life, lane] = tuple(numbers)
                self.of["read"] += numbers[2]
            elif what in ("torn", "order"):
                self.found[what] += int(rest[0])
                if int(rest[0]):
                    self.note(line)
            elif what == "remark":
                self.of["remarks"] += 1
        if not judged.stdout.endswith("end\n"):
            self.found["order"] += 1
            self.note(f"power_judge ended with {judged.returncode}: {judged.stderr}")
        return found

    def look_at(self, disk, known, way):
        image = self.path("cut.img")
        self.of["lost sectors"] += disk.cut(image, way, self.lots)
        self.of["cached sectors"] += sum(entry.sectors for entry in disk.cache)
        missing, words = known.faults(self.judge(image))
        self.found["missing"] += missing
        self.of["must"] += known.must_be_there()
        self.of["disks"] += 1
        for each in words:
            self.note(f"a disk that {way}, cut at entry {disk.at} of {len(disk.entries)}: {each}")

    def cuts(self, entries, count):
        """Where the power may fail: half of them just behind a mark, when a sender has just been told."""
        marks = [i + 1 for i, entry in enumerate(entries) if self.is_mark(entry)]
        places = [self.lots.choice(marks) if i % 2 else self.lots.randrange(1, len(entries)) for i in range(count)]
        return sorted(places)

    @staticmethod
    def is_mark(entry):
        return entry.sectors and entry.sector * SECTOR >= FILE_SYSTEM

    def walk(self, count, until):
        """Disks after cuts at `count` places of the run, or until the time is over, and after the real cut."""
        entries = read_log(self.path("data.log"))
        disk = Disk(self.path("base.img"), self.path("data.log"), entries, self.scratch)
        known = Known(self.before)
        taken = 0
        self.of["writes"] += sum(1 for entry in entries if entry.sectors)
        self.of["flushes"] += sum(1 for entry in entries if entry.flags & 1)
        for place in self.cuts(entries, count) + [len(entries)]:
            disk.go_to(place)
            for entry in entries[taken:place]:
                if self.is_mark(entry):
                    known.take(disk.data(entry))
            taken = place
            if place < len(entries) and (known.phase < SET_UP and not self.before or time.monotonic() > until):
                continue
            self.look_at(disk, known, self.lots.choice(Disk.WAYS))
        disk.close()
        return known

    def make_next_disk(self, number):
        """Every other machine finds all that was written, the others a disk that lost some. It is only looked at in
        a copy: to recover it is the machine's own work."""
        if number % 2 == 0:
            way = self.lots.choice(Disk.WAYS[1:])
            entries = read_log(self.path("data.log"))
            disk = Disk(self.path("base.img"), self.path("data.log"), entries, self.scratch)
            disk.go_to(len(entries))
            disk.cut(self.path("data.img"), way, self.lots)
            disk.close()
        shutil.copyfile(self.path("data.img"), self.path("look.img"))
        return self.judge(self.path("look.img"))

    def check_console(self, lines, known):
        for line in lines:
            if match := re.match(r"synced (\d+) (\d+) (\d+) allowed", line):
                life, *synced = map(int, match.groups())
                self.of["said"] += 1
                for lane in (0, 1):
                    if known.synced.get((life, lane), (0, 0))[1] < synced[lane]:
                        self.found["said"] += 1

    def round(self, number, seconds, count, until):
        lines = self.machine(number, seconds)
        known = self.walk(count, until)
        self.check_console(lines, known)
        found = self.make_next_disk(number)
        missing, words = known.faults(found)
        self.found["missing"] += missing
        self.of["must"] += known.must_be_there()
        for each in words:
            self.note(f"the next machine's disk: {each}")
        self.before = {series: numbers[:3] for series, numbers in found.items()}
        self.of["cuts"] += 1

    # --- the report ---

    def report(self, began, seed):
        of, found = self.of, self.found
        counts = [
            ("durable messages lost", found["missing"], of["must"], "on disk, unacknowledged"),
            ("torn or foreign messages in a journal", found["torn"], of["read"], "read"),
            ("messages out of order in a journal", found["order"], of["read"], "read"),
            ("file systems that cannot be recovered", found["file systems"], of["disks"], "disks"),
            ("promises on the console that the disk had not", found["said"], of["said"], "syncs reported"),
            ("series that a new machine gave back differently", found["boot missing"], of["restores"], "restores"),
            ("torn messages given back", found["boot torn"], of["redelivered"], "given back"),
            ("messages given back out of order", found["boot order"], of["redelivered"], "given back"),
            ("messages given back without a flag", found["boot unflagged"], of["redelivered"], "given back"),
        ]
        figures = [("power cuts (SIGKILL of QEMU)", of["cuts"], ""), ("disks after a cut", of["disks"], ""),
                   ("writes recorded", of["writes"], ""), ("flushes recorded", of["flushes"], ""),
                   ("in the disks' caches when the power failed", of["cached sectors"], "sectors"),
                   ("of these lost", of["lost sectors"], "sectors"),
                   ("torn ends that were passed over", of["remarks"], "remarks"), ("seed", seed, "")]
        good = not self.notes and all(bad == 0 and whole > 0 for _, bad, whole, _ in counts)
        for what, bad, whole, unit in counts:
            print(f"power: {bad} {what} of {whole} {unit}", file=sys.stderr)
        for what, value, unit in figures:
            print(f"power: {what} {value} {unit}", file=sys.stderr)
        print(json.dumps({
            "soak": "power", "good": good, "seconds": round(time.monotonic() - began, 2),
            "counts": [dict(zip(("what", "found", "of", "unit"), each)) for each in counts],
            "figures": [dict(zip(("what", "value", "unit"), each)) for each in figures]}))
        return 0 if good else 1


def main():
    build = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 60
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1_000_000)
    if (missing := what_is_missing()) is not None:
        print("SKIP:", missing)
        return 77
    began = time.monotonic()
    until = began + seconds
    shm = "/dev/shm"
    roomy = os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 2 << 30
    with tempfile.TemporaryDirectory(prefix="mohhos-power-", dir=shm if roomy else None) as scratch:
        soak = Soak(build, scratch, seed)
        soak.prepare()
        number = 0
        while number < 2 or time.monotonic() < until:
            number += 1
            soak.round(number, soak.lots.uniform(0.2, 1.5) if seconds == 0 else soak.lots.uniform(0.2, 8),
                       10 if seconds == 0 else 60, float("inf") if number <= 2 else until)
        return soak.report(began, seed)


if __name__ == "__main__":
    sys.exit(main())
