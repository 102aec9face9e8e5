"""What a machine wrote to a disk, and what that disk may hold after a power cut.

The record is that of QEMU's blklogwrites driver, in the form of the kernel's dm-log-writes: every write and every
flush, in the order in which they were finished. A disk with a write cache promises nothing about a write until the
next flush is done: up to there it may have kept it, lost it, or kept some of its sectors, in any order. One write is
whole or not at all: that of the first block, with ext4's superblock, which ext4 itself relies on (it is written when
a file system is mounted, past its journal).
"""
import os
import random
import shutil
import struct
from dataclasses import dataclass

SECTOR = 512
FIRST_BLOCK = 8  # sectors
MAGIC = 0x6A736677736872
FLUSH, FUA = 1, 2


@dataclass
class Entry:
    sector: int
    sectors: int
    flags: int
    at: int  # of its data, in the log


def read_log(path):
    """The entries that are whole, in order."""
    entries = []
    size = os.path.getsize(path)
    with open(path, "rb") as log:
        head = log.read(28)
        if len(head) < 28:
            return entries
        magic, _, _, sector_size = struct.unpack("<QQQI", head)
        if magic != MAGIC or sector_size != SECTOR:
            raise ValueError(f"{path}: not the log of a disk")
        at = SECTOR
        while at + SECTOR <= size:
            log.seek(at)
            sector, sectors, flags, _ = struct.unpack("<QQQQ", log.read(32))
            at += SECTOR
            if (sector, sectors, flags) == (0, 0, 0) or at + sectors * SECTOR > size:
                break
            entries.append(Entry(sector, sectors, flags, at))
            at += sectors * SECTOR
    return entries


class Disk:
    """A disk on its way through a log: what was flushed, and what is still in its cache."""

    # How a disk may deal with its cache when the power fails.
    WAYS = ("keeps all", "loses all", "keeps whole writes at random", "keeps sectors at random", "loses one write")

    def __init__(self, base, log, entries, scratch):
        self.stable = os.path.join(scratch, "stable.img")
        shutil.copyfile(base, self.stable)
        self.file = open(self.stable, "r+b", buffering=0)
        self.log = open(log, "rb")
        self.entries = entries
        self.at = 0
        self.cache = []

    def close(self):
        self.file.close()
        self.log.close()
        os.unlink(self.stable)

    def data(self, entry):
        self.log.seek(entry.at)
        return self.log.read(entry.sectors * SECTOR)

    def go_to(self, index):
        """Behind entries[:index]; only forward."""
        for entry in self.entries[self.at:index]:
            if entry.flags & FLUSH:
                for each in self.cache:
                    self.write(self.file, each)
                self.cache = []
            if entry.sectors and entry.flags & FUA:
                self.write(self.file, entry)
            elif entry.sectors:
                self.cache.append(entry)
        self.at = index

    def write(self, file, entry):
        file.seek(entry.sector * SECTOR)
        file.write(self.data(entry))

    def cut(self, image, way, lots: random.Random):
        """What is there after a power cut now, as a file; how many sectors were lost."""
        shutil.copyfile(self.stable, image)
        lost = 0
        one = lots.randrange(len(self.cache)) if self.cache else -1
        with open(image, "r+b", buffering=0) as file:
            for number, entry in enumerate(self.cache):
                data = self.data(entry)
                whole = {"keeps all": True, "loses all": False, "loses one write": number != one}.get(way)
                if whole is None and (way == "keeps whole writes at random" or entry.sector < FIRST_BLOCK):
                    whole = lots.random() < 0.5
                for i in range(entry.sectors):
                    if not (whole if whole is not None else lots.random() < 0.5):
                        lost += 1
                        continue
                    file.seek((entry.sector + i) * SECTOR)
                    file.write(data[i * SECTOR:(i + 1) * SECTOR])
        return lost
