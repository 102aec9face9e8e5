#!/usr/bin/env python3
"""A second implementation of docs/ring-format.md, by what that page says.

    ring_format.py ROLE DATA CONTROL DATA_BELL SPACE_BELL CAPACITY [NUMBER]

The descriptors are inherited. A message prints, or is made from, one line of text (`line_of`, `message_of`), so that
what the C++ ring says of a message can be compared with what this one says. It is slow, and believes its peer: the
point is whether the page says everything.
"""
import mmap
import os
import select
import sys
import threading
import time

GRAIN, PAIR, PAGE = 16, 128, 4096
MAGIC, VERSION = 0x474E4952, 4
MASK = (1 << 64) - 1
# Above the two bits of the priority.
EXTENDED, FAILED, CANCELS, DURABLE, APART, SKIP = 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7

# Byte offsets of the two header pages.
WAITING, OLDEST, SKIP_END, SKIPPED, HEAD, SENT, BYTES = 64, 128, 136, 144, 192, 200, 208
TAIL, BEGUN, BURIED, ARMED, ACKNOWLEDGED, REDELIVERED, DROPPED, NEXT_EVENT = 64, 72, 80, 128, 192, 200, 208, 248

PATIENCE = 20.0  # seconds


class Words:
    """Mapped memory as words of 8 and 4 bytes, each loaded and stored whole."""

    def __init__(self, fd, size, writable):
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self.bytes = memoryview(mmap.mmap(fd, size, mmap.MAP_SHARED, access))
        self.wide = self.bytes.cast('Q')
        self.narrow = self.bytes.cast('I')
        if self.narrow[0] != MAGIC or self.narrow[1] != VERSION:
            sys.exit('this is no ring of version 4')

    def load(self, offset):
        return self.wide[offset // 8]

    def store(self, offset, value):
        self.wide[offset // 8] = value & MASK

    def add(self, offset, more):
        self.store(offset, self.load(offset) + more)


def fence():
    threading.Lock().acquire()  # a locked instruction


def tag_of(position):
    grain = position // GRAIN
    return 0x8000 | ((grain + (grain >> 15)) & 0x7FFF)


def signed(distance):
    distance &= MASK
    return distance - (1 << 64) if distance >> 63 else distance


class Record:
    """What a publish word says."""

    def __init__(self, word):
        self.size, self.tag = word & 0xFFFFFFFF, word >> 32 & 0xFFFF
        self.type, self.flags = word >> 48 & 0xFF, word >> 56
        self.header = 48 if self.flags & EXTENDED else 16
        self.unit = PAIR if self.flags & APART else GRAIN

    def extent(self, position):
        end = (position + self.header + self.size + self.unit - 1) // self.unit * self.unit
        return end - position

    def skips(self, position, capacity):
        return self.flags == SKIP and self.type == 0 and (position + self.extent(position)) % capacity == 0


class Ring:
    def __init__(self, data, control, capacity, sends):
        self.capacity = capacity
        self.data = Words(data, PAGE + capacity, sends)
        self.control = Words(control, PAGE, not sends)

    def place(self, position):
        return PAGE + position % self.capacity

    def read(self, position, size):
        begin = position % self.capacity
        first = min(size, self.capacity - begin)
        at = PAGE + begin
        return bytes(self.data.bytes[at:at + first]) + bytes(self.data.bytes[PAGE:PAGE + size - first])

    def write(self, position, content):
        begin = position % self.capacity
        first = min(len(content), self.capacity - begin)
        at = PAGE + begin
        self.data.bytes[at:at + first] = content[:first]
        self.data.bytes[PAGE:PAGE + len(content) - first] = content[first:]


class Sender(Ring):
    def __init__(self, data, control, data_bell, space_bell, capacity, lossy=False, laps=False):
        super().__init__(data, control, capacity, True)
        self.bell, self.space, self.lossy, self.rung = data_bell, space_bell, lossy, 0
        self.laps, self.skip_from = laps, None
        self.tail = self.data.load(OLDEST) if lossy else self.control.load(TAIL)
        self.head = self.tail
        self.number = self.data.load(SENT)
        while True:  # what the process before us published
            record = Record(self.data.load(self.place(self.head)))
            if record.tag != tag_of(self.head) or record.extent(self.head) > self.room() - GRAIN:
                break
            if lossy:
                self.number = int.from_bytes(self.read(self.head + 16, 8), 'little')
            self.head = (self.head + record.extent(self.head)) & MASK
        self.data.store(self.place(self.head), 0)
        self.data.store(HEAD, self.head)
        if lossy:
            self.data.store(SENT, self.number)
        self.waiting = (self.data.narrow[WAITING // 4] + 1) & ~1
        self.data.narrow[WAITING // 4] = self.waiting

    def room(self):
        return self.capacity - ((self.head - self.tail) & MASK)

    def make_room(self, needed):
        if self.lossy:
            while needed > self.room():
                self.tail = (self.tail + Record(self.data.load(self.place(self.tail))).extent(self.tail)) & MASK
            self.data.store(OLDEST, self.tail)
            fence()
        elif needed > self.room():
            self.tail = self.control.load(TAIL)
        return needed <= self.room()

    def wait_for_room(self, needed):
        until = time.monotonic() + PATIENCE
        while not self.make_room(needed):
            if time.monotonic() > until:
                sys.exit('no space came')
            self.wake()  # the receiver may sleep, and not know of what was sent with more to follow
            self.set_waiting()
            fence()
            if not self.make_room(needed):
                wait_for(self.space, 0.001)  # and look every millisecond besides
            self.set_waiting()

    def set_waiting(self):
        self.waiting += 1
        self.data.narrow[WAITING // 4] = self.waiting

    def prepare(self, message):
        """All of the record but its publish word, which is what this returns."""
        kind, flags, extension, payload = message
        extended = self.lossy or extension is not None
        if extended:
            correlation, deadline, generation, event, attachment = extension or (0, 0, 1, 0, 0)
            flags |= EXTENDED
            if self.lossy:
                correlation = self.number + 1
        header = 48 if extended else 16
        if self.laps:
            self.begin_anew(header + len(payload) + PAIR)
        word = len(payload) | tag_of(self.head) << 32 | kind << 48 | flags << 56
        record = Record(word)
        self.wait_for_room(record.extent(self.head) + GRAIN)
        stamp = time.clock_gettime_ns(time.CLOCK_MONOTONIC).to_bytes(8, 'little')
        self.write(self.head + 8, stamp)
        if extended:
            self.write(self.head + 16, b''.join(value.to_bytes(size, 'little') for value, size in (
                (correlation, 8), (deadline, 8), (generation, 4), (event, 4), (attachment, 8))))
        self.write(self.head + record.header, payload)
        return word

    def begin_anew(self, needed):
        """As soon as there is room for this message where the ring begins; its publication is that of the skip."""
        offset = self.head % self.capacity
        self.tail = self.control.load(TAIL)
        if offset < self.capacity // 8 or ((self.head - self.tail) & MASK) + needed > offset:
            return
        self.skip_from = self.head
        self.head = (self.head + self.capacity - offset) & MASK
        self.data.store(self.place(self.head), 0)

    def publish_skip(self):
        begin, end = self.skip_from, (self.skip_from // self.capacity + 1) * self.capacity
        self.skip_from = None
        self.data.store(SKIP_END, end)
        self.data.store(SKIPPED, end - begin)
        self.data.store(self.place(begin), end - begin - 16 | tag_of(begin) << 32 | SKIP << 56)

    def send(self, message, more=False):
        word = self.prepare(message)
        extent = Record(word).extent(self.head)
        self.data.store(self.place(self.head + extent), 0)
        self.data.store(self.place(self.head), word)
        if self.skip_from is not None:
            self.publish_skip()
        self.head = (self.head + extent) & MASK
        self.number += 1
        self.data.store(HEAD, self.head)
        self.data.store(SENT, self.number)
        self.data.add(BYTES, len(message[3]))
        if not more:
            self.wake()

    def wake(self):
        fence()
        armed = self.control.narrow[ARMED // 4]
        if armed % 2 == 1 and armed != self.rung:
            self.rung = armed
            ring(self.bell)


class Receiver(Ring):
    def __init__(self, data, control, data_bell, space_bell, capacity, lossy=False):
        super().__init__(data, control, capacity, False)
        self.bell, self.space, self.lossy, self.rung = data_bell, space_bell, lossy, 0
        self.tail = self.control.load(TAIL)
        buried = self.control.load(BURIED)
        if buried != 0 and 0 < (buried - 1 - self.tail) & MASK <= capacity:
            self.tail = buried - 1
            self.control.store(TAIL, self.tail)
        begun = self.control.load(BEGUN)
        self.again = begun if (begun - self.tail) & MASK <= capacity else self.tail
        self.position = self.tail
        self.taken = self.control.load(ACKNOWLEDGED)
        self.armed = (self.control.narrow[ARMED // 4] + 1) & ~1
        self.control.narrow[ARMED // 4] = self.armed
        self.skips = {}  # by where they begin: where they end

    def judge(self, record):
        overlap = (self.position - self.tail) & MASK
        skips = not self.lossy and record.skips(self.position, self.capacity)
        if (record.tag != tag_of(self.position) or record.type >= 8 or (record.flags >> 7 and not skips) or
                record.size > self.capacity - 64 or
                record.extent(self.position) > self.capacity - GRAIN - overlap):
            sys.exit('the sender broke the channel')

    def next(self):
        """(line, end), or nothing."""
        if self.lossy:
            return self.next_lossy()
        word = self.data.load(self.place(self.position))
        if word == 0:
            return None
        record = Record(word)
        self.judge(record)
        if record.flags & SKIP:
            begin = self.position
            self.position = self.skips[begin] = (begin + record.extent(begin)) & MASK
            if self.tail == begin:
                self.tail = self.position
                self.control.store(TAIL, self.tail)
            return self.next()
        again = signed(self.again - self.position) > 0
        if again:
            self.control.add(REDELIVERED, 1)
        line = self.describe(record, self.read(self.position, record.header + record.size), again)
        self.position = (self.position + record.extent(self.position)) & MASK
        self.taken += 1
        self.control.store(BEGUN, self.position)  # before anybody acts on it
        return line, self.position

    def skip(self):
        oldest = self.data.load(OLDEST)
        if signed(oldest - self.position) <= 0:
            return False
        self.position = self.tail = oldest
        return True

    def next_lossy(self):
        while True:
            self.skip()
            word = self.data.load(self.place(self.position))
            record = Record(word)
            if word != 0:
                self.judge(record)
                copy = self.read(self.position, record.header + record.size)
            fence()
            if self.skip():
                continue
            if word == 0:
                return None
            number = int.from_bytes(copy[16:24], 'little')
            missed = number - 1 - self.taken
            if missed > self.control.load(DROPPED):
                self.control.store(DROPPED, missed)
            self.control.store(NEXT_EVENT, number + 1)
            line = self.describe(record, copy[:16] + bytes(8) + copy[24:], False)
            self.position = (self.position + record.extent(self.position)) & MASK
            self.taken += 1
            return line, self.position

    def describe(self, record, copy, again):
        extension = None
        if record.flags & EXTENDED:
            extension = tuple(int.from_bytes(copy[begin:end], 'little')
                              for begin, end in ((16, 24), (24, 32), (32, 36), (36, 40), (40, 48)))
        return line_of(self.position, record, extension, again, copy[record.header:])

    def acknowledge(self, end, idle=False):
        before, self.tail = self.tail, self.skips.get(end, end)
        self.control.store(TAIL, self.tail)
        self.control.store(ACKNOWLEDGED, self.taken)
        if idle or (before ^ self.tail) & ~(self.capacity // 8 - 1) & MASK:
            self.wake()

    def wake(self):
        fence()
        waiting = self.data.narrow[WAITING // 4]
        if waiting % 2 == 1 and waiting != self.rung:
            self.rung = waiting
            ring(self.space)

    def wait(self):
        until = time.monotonic() + PATIENCE
        while True:
            found = self.next()
            if found is not None:
                return found
            self.wake()  # the ring is empty: of all of it
            if time.monotonic() > until:
                sys.exit('no message came')
            self.set_armed()
            fence()
            if self.data.load(self.place(self.position)) == 0:
                wait_for(self.bell, PATIENCE)
            self.set_armed()

    def set_armed(self):
        self.armed += 1
        self.control.narrow[ARMED // 4] = self.armed


def ring(bell):
    os.write(bell, (1).to_bytes(8, sys.byteorder))


EARS = {}


def wait_for(bell, seconds):
    """Edge-triggered, and never read."""
    if bell not in EARS:
        EARS[bell] = select.epoll()
        EARS[bell].register(bell, select.EPOLLIN | select.EPOLLET)
    EARS[bell].poll(seconds)


# --- messages for tests, by number; ring_format_test.cpp has the same ---

def message_of(i):
    flags = i % 4 | (APART if i % 6 < 3 else 0) | (FAILED if i % 5 == 0 else 0) | (CANCELS if i % 7 == 0 else 0) | (DURABLE if i % 2 == 0 else 0)
    extension = ((i + 1) * 1000003, i * 17, 1, i % 11, i % 13) if i % 3 == 0 else None
    return i % 8, flags, extension, bytes((i + j) & 0xFF for j in range(i * 37 % 3000))


def line_of(position, record, extension, again, payload):
    flags = [name for bit, name in ((FAILED, 'failed'), (CANCELS, 'cancels'), (DURABLE, 'durable'))
             if record.flags & bit] + (['again'] if again else [])
    numbers = extension or (0, 0, 0, 0, 0)
    return ' '.join([str(position // GRAIN + 1), str(record.type), str(record.flags & 3),
                     *(str(number) for number in numbers), '+'.join(flags) or '-', payload.hex() or '-'])


def show(found):
    print(found[0], flush=True)


def main():
    role = sys.argv[1]
    fds = [int(word) for word in sys.argv[2:6]]
    capacity = int(sys.argv[6])
    number = int(sys.argv[7]) if len(sys.argv) > 7 else 0
    lossy = role.startswith('lossy')
    if role in ('send', 'send-batches', 'send-laps', 'lossy-send', 'send-and-die'):
        sender = Sender(*fds, capacity, lossy, role == 'send-laps')
        for i in range(number):
            sender.send(message_of(i), more=role == 'send-batches' and i % 8 != 7)
        if role == 'send-batches':
            sender.wake()
        if role == 'send-and-die':
            sender.prepare(message_of(number))  # and publishes it never
    else:
        receiver = Receiver(*fds, capacity, lossy)
        if role == 'receive':
            for _ in range(number):
                found = receiver.wait()
                show(found)
                receiver.acknowledge(found[1])
        elif role == 'receive-and-die':  # over all but the first
            ends = []
            for _ in range(number):
                found = receiver.wait()
                show(found)
                ends.append(found[1])
            receiver.acknowledge(ends[0])
        elif role in ('drain', 'lossy-drain'):
            while (found := receiver.next()) is not None:
                show(found)
                receiver.acknowledge(found[1])
        else:
            sys.exit(f'no role {role}')


if __name__ == '__main__':
    main()
