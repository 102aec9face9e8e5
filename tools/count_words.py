#!/usr/bin/python3
"""Counts the words of a file the way plugins/tokenizer documents it, without any of its code, and holds the
result against wordstat's: count_words.py FILE [TOP]  (TOP: lines 'count word' on standard input, compared)

ASCII text is cut by the rules of UAX #29 written out below; any other text needs python3-icu.
"""
import collections
import re
import sys

LONGEST_LINE = 8 * 1024  # reader cuts longer ones at a blank

# UAX #29 within ASCII, after case folding: letters, digits and '_' stick together; . and ' join two letters,
# and with , ; also two digits. A segment of these is a word. ('@' is a letter in Debian 12's ICU 72, and
# a lone '_' is no word there.)
ASCII_WORD = re.compile(r"(?:[a-z0-9_@]|(?<=[a-z@])[.'](?=[a-z@])|(?<=[0-9])[.,;'](?=[0-9]))+")


def lines(path):
    with open(path, "rb") as file:
        for line in file:
            line = line.rstrip(b"\n") if line.endswith(b"\n") else line
            while len(line) > LONGEST_LINE:
                part = line[:LONGEST_LINE]
                cut = max(part.rfind(b" "), part.rfind(b"\t"))
                if cut <= 0:
                    cut = len(part) - 1
                    while cut > len(part) - 4 and part[cut] & 0xC0 == 0x80:
                        cut -= 1
                yield part[:cut]
                line = line[cut:]
            if line:
                yield line


def ascii_words(line):
    return [word for word in ASCII_WORD.findall(line.decode("ascii").lower()) if word != "_"]


def make_unicode_words():
    import icu

    fold = icu.Normalizer2.getInstance(None, "nfkc_cf", icu.UNormalizationMode2.COMPOSE)
    breaker = icu.BreakIterator.createWordInstance(icu.Locale.getRoot())

    def words(line):
        text = icu.UnicodeString(fold.normalize(line.decode("utf-8", "replace")))
        breaker.setText(text)
        begin = breaker.first()
        for end in breaker:
            if breaker.getRuleStatus() >= 100:  # UBRK_WORD_NONE_LIMIT
                yield str(text[begin:end])
            begin = end

    return words


def count(path):
    counts, total = collections.Counter(), 0
    words = ascii_words
    for line in lines(path):
        if words is ascii_words and not line.isascii():
            words = make_unicode_words()
        found = list(words(line))
        total += len(found)
        counts.update(found)
    return counts, total


def main():
    counts, total = count(sys.argv[1])
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))
    if sys.stdin.isatty() or len(sys.argv) < 3:
        for word, times in order[:20]:
            print(times, word)
        print(f"{total} words, {len(counts)} different")
        return
    theirs = [line.split(" ", 1) for line in sys.stdin.read().splitlines() if line]
    wrong = 0
    for place, (times, word) in enumerate(theirs):
        if counts[word] != int(times):
            print(f"'{word}': {times} there, {counts[word]} here")
            wrong += 1
        elif order[place][1] != int(times):
            print(f"place {place + 1}: {times} there, {order[place][1]} here")
            wrong += 1
    if int(sys.argv[2]) != total:
        print(f"all words: {sys.argv[2]} there, {total} here")
        wrong += 1
    if not theirs:
        wrong = 1
    print(f"{total} words, {len(counts)} different; {len(theirs)} counts compared, {wrong} differ")
    sys.exit(1 if wrong else 0)


main()
