#!/usr/bin/env python3
"""Checks one setting of sleep_wake.pml with spin: it must hold, or it must fail.

  check.py list                  the settings, one a line
  check.py NAME [-DMESSAGES=4]   checks one; more switches make the world larger
  check.py names                 their names, for CMake
  check.py --all                 every setting with every search (minutes)

A setting that must fail shows that the model sees the mistake which the mechanism prevents. Exit status: 0 as
expected, 1 not, 77 without spin or a C compiler (ctest: skipped).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# name: (expected, switches, why[, the only search])
SETTINGS = {
    "protocol": ("holds", "-DMESSAGES=2 -DCAPACITY=1", "as it is; the sender may stall for ever after any commit without more"),
    "more_messages": ("holds", "-DSPACE_LOOK=0", "three through a ring of two; bells alone carry the space"),
    "wide_steps": ("holds", "-DSPACE_LOOK=0 -DCAPACITY=3 -DSTEP=3 -DMESSAGES=4 -DLOOK_EVERY=3", "looks further apart"),
    "sender_dies": ("holds", "-DMESSAGES=2 -DCAPACITY=1 -DSPACE_LOOK=0 -DSENDER_DIES=1",
                    "killed between any two steps; a successor goes on"),
    "receiver_dies": ("holds", "-DMESSAGES=2 -DCAPACITY=1 -DRECEIVER_DIES=1 -DSTALL=0",
                      "the same for the receiver", "lost wake-up or deadlock"),

    "commit_without_fence": ("fails", "-DCOMMIT_FENCE=0 -DSTALL=0", "a look that overtakes its message comes too early"),
    "more_without_a_look": ("fails", "-DOWED_LOOK=0 -DSTALL=0", "nobody makes up for a look that was left out"),
    "receiver_without_fence": ("fails", "-DRECEIVER_FENCE=0 -DSTALL=0", "it looks before it is armed"),
    "space_without_fences": ("fails", "-DSPACE_FENCES=0 -DSPACE_LOOK=0", "both look before the other's store"),
    "receiver_dies_without_space_look": ("fails", "-DCAPACITY=1 -DSPACE_LOOK=0 -DRECEIVER_DIES=1",
                                         "it dies between tail and bell"),
    "sender_looks_beside_a_sleeper": ("fails", "-DMESSAGES=2 -DCAPACITY=1 -DOWED_LOOK=0 -DCOMMIT_FENCE=0 -DSTALL=0",
                                      "an endless move is seen as well as an end", "no progress for ever"),
}

# What pan must have looked for. The second finds a world that moves for ever and receives nothing, as a sender that
# looks for space every millisecond beside a receiver that was never woken; fair: whoever always could move, does.
SEARCHES = {
    "lost wake-up or deadlock": (["-DSAFETY"], []),
    "no progress for ever": (["-DNP", "-DNFAIR=3"], ["-l", "-f"]),
}
# Only a sender that looks by itself can move for ever: without that, nothing but bells moves anybody.
NEEDS_CLOCK = "no progress for ever"


def run(command, cwd):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def search(directory, compile_flags, run_flags):
    built = run(["gcc", "-O1", "-w", "-o", "pan", *compile_flags, "pan.c"], directory)
    if built.returncode != 0:
        raise RuntimeError(built.stdout)
    out = run(["./pan", "-m1000000", *run_flags], directory).stdout
    errors = re.search(r"errors: (\d+)", out)
    states = re.search(r"^\s*([\d.e+]+) states, stored", out, re.MULTILINE)
    if errors is None or states is None or "search depth too small" in out or "Search not completed" in out and errors[1] == "0":
        raise RuntimeError("the search was not completed:\n" + out)
    return int(errors[1]), states[1], out


def check(name, more, every_search):
    expected, switches, why, *only = SETTINGS[name]
    switches = [*switches.split(), *more]
    print(f"{name}: {why}")
    found = []
    with tempfile.TemporaryDirectory(prefix="mohhos-model-") as directory:
        shutil.copy(os.path.join(HERE, "sleep_wake.pml"), directory)
        made = run(["spin", "-a", *switches, "sleep_wake.pml"], directory)
        if made.returncode != 0 or not os.path.exists(os.path.join(directory, "pan.c")):
            raise RuntimeError(made.stdout)
        for what, (compile_flags, run_flags) in SEARCHES.items():
            if what == NEEDS_CLOCK and "-DSPACE_LOOK=0" in switches:
                continue
            if only and what not in only and not (every_search and expected == "holds"):
                continue
            errors, states, out = search(directory, compile_flags, run_flags)
            print(f"  {what}: {errors} in {states} states", flush=True)
            if errors:
                found.append(what)
                if expected == "holds":
                    print(out)
                    print(run(["spin", "-t", "-p", *switches, "sleep_wake.pml"], directory).stdout[-20000:])
                break
    outcome = "fails" if found else "holds"
    print(f"  {outcome}, as it must" if outcome == expected else f"  {outcome}, and must not")
    return outcome == expected


def main():
    if sys.argv[1:] == ["names"]:
        print(";".join(SETTINGS))
        return 0
    if len(sys.argv) < 2 or sys.argv[1] == "list":
        for name, (expected, switches, why, *_) in SETTINGS.items():
            print(f"{name:32} {expected:6} {why}  [{switches}]")
        return 0
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            print(f"SKIP: no {tool} (Debian package {tool})")
            return 77
    every = sys.argv[1] == "--all"
    names = list(SETTINGS) if every else [sys.argv[1]]
    good = [check(name, sys.argv[2:], every) for name in names]
    if every:
        print(f"{good.count(False)} of {len(good)} settings were not as expected")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
