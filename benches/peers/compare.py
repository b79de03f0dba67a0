"""Times the same losses in this library and others; README.md has the options."""

import argparse
import json
import os
import re
import shutil
import statistics
import time
from datetime import date
from pathlib import Path

import libraries
import picture
import table
from cases import CASES
from libraries import OURS, PEERS, SCRATCH
from worker import Failed, Gone, Worker

RESULTS = Path(__file__).parent / "results"
DATA = SCRATCH / "data"
KEPT = SCRATCH / "results.json"

# Seconds that a batch of calls takes, at least.
BATCH = 0.06
# Seconds that timing one case in one library may take; after that there are no more rounds.
MOST = 20
# Seconds to compile a case and run it once, and for a batch.
PREPARE_TIMEOUT, TIME_TIMEOUT = 180, 90
# How far the libraries' losses and gradients may be from ours, relatively. Recursions over the
# logarithms of probabilities leave f32 few digits of the gradient after thousands of frames.
TOLERANCE, CTC_GRADIENT_TOLERANCE = 1e-3, 0.1
# Streams without computation, which this library's worker times.
LIMITS = {"ordinary": "ordinary stores", "streaming": "stores past the caches"}


class Library:
    """A library's worker, started when it is needed."""

    def __init__(self, name, threads, ours):
        self.name, self.threads, self.ours = name, threads, ours
        self.worker = None

    def ask(self, request, timeout):
        if self.worker is None:
            log = SCRATCH / "logs" / f"{self.name}-{self.threads}.txt"
            log.parent.mkdir(parents=True, exist_ok=True)
            command = libraries.command(self.name, self.threads, self.ours)
            environment = libraries.environment(self.threads)
            self.worker = Worker(command, environment, self.threads, log)
        try:
            return self.worker.ask(request, timeout)
        except Gone:
            self.worker = None
            raise

    def end(self):
        if self.worker is not None:
            self.worker.end()
            self.worker = None


class Timed:
    """Something that is timed in rounds."""

    def __init__(self, library, what):
        self.library, self.what = library, what
        self.spent = 0.0
        self.samples = []

    def batch(self, calls):
        request = f"time {self.what} {calls}" if self.library.name == OURS else f"time {calls}"
        seconds = self.library.ask(request, TIME_TIMEOUT)[0]
        self.spent += seconds
        return seconds

    def calibrate(self):
        """Finds how many calls make a batch."""
        self.calls = 1
        while (seconds := self.batch(self.calls)) < BATCH / 2:
            growth = BATCH / max(seconds, 1e-9)
            self.calls = round(self.calls * min(1.1 * growth, 100)) + 1
        if self.spent + seconds > MOST:
            self.samples.append(seconds / self.calls)

    def round(self):
        if not self.samples or self.spent < MOST:
            self.samples.append(self.batch(self.calls) / self.calls)


def noted(name, failed, notes):
    notes[name] = str(failed)
    print(f"  {name}: {failed}", flush=True)


def write(inputs):
    """Writes arrays for the workers; returns how a request names them."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    words = [str(DATA)]
    for name, array in inputs.items():
        array.tofile(DATA / name)
        element = f"{array.dtype.kind}{8 * array.dtype.itemsize}"
        words.append(f"{name}:{element}:{','.join(map(str, array.shape))}")
    return " ".join(words)


def prepared(case, threads, workers, notes):
    """The libraries that have the case, and what each computes."""
    request = f"prepare {case.loss} {write(case.inputs())}"
    totals = {}
    for library in workers:
        try:
            totals[library] = library.ask(request, PREPARE_TIMEOUT)
        except Failed as failed:
            if str(failed):
                noted(library.name, failed, notes)
                # Nothing of the failure is to stay for the next case.
                library.end()
    return totals


def check(case, totals):
    """Whether all computed the same; prints what differs."""
    agree = True
    ours = next((t for library, t in totals.items() if library.name == OURS), None)
    if ours is None:
        return agree
    tolerances = (TOLERANCE, CTC_GRADIENT_TOLERANCE if case.loss == "ctc" else TOLERANCE)
    for library, found in totals.items():
        for what, a, b, tolerance in zip(("loss", "gradient"), ours, found, tolerances):
            # Not "above", which NaN never is.
            if not abs(a - b) <= tolerance * abs(a):
                print(f"  {library.name}: {what} {b:.8g}, ours is {a:.8g}", flush=True)
                agree = False
    return agree


def timed(case, totals, rounds, notes):
    """Seconds a call, by what was timed."""
    things = {library.name: Timed(library, "loss") for library in totals}
    for library in totals:
        if library.name == OURS and case.limited:
            things |= {name: Timed(library, what) for what, name in LIMITS.items()}

    def each(names, action):
        for name in names:
            if name in things:
                try:
                    action(things[name])
                except Failed as failed:
                    noted(name, failed, notes)
                    del things[name]

    each(list(things), Timed.calibrate)
    names = list(things)
    for turn in range(rounds):
        first = turn % len(names)
        each(names[first:] + names[:first], Timed.round)
    return {name: statistics.median(thing.samples) for name, thing in things.items()}


def machine(versions):
    with open("/proc/cpuinfo") as cpuinfo:
        text = cpuinfo.read()
    model = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"flags\s*: (.*)", text)
    flags = flags[1].split() if flags else []
    widest = next((f for f in ("avx512f", "avx2", "avx") if f in flags), "no AVX")
    return {
        "processor": f"{model[1] if model else 'unknown'}, {widest}, {os.cpu_count()} processors",
        "date": date.today().isoformat(),
        "libraries": ", ".join(dict.fromkeys(versions.values())),
    }


def run(arguments, versions):
    ours = libraries.build()
    chosen = [case for case in CASES if re.search(arguments.cases, case.name)]
    results, agree = [], True
    started = time.monotonic()
    for threads in arguments.threads:
        workers = [Library(name, threads, ours) for name in (OURS, *versions)]
        try:
            for case in chosen:
                elapsed = time.monotonic() - started
                print(f"{elapsed:5.0f} s  {case.name}, threads: {threads}", flush=True)
                notes, times = {}, {}
                totals = prepared(case, threads, workers, notes)
                agree &= check(case, totals)
                if not arguments.check and totals:
                    times = timed(case, totals, arguments.rounds, notes)
                    line = (f"{name} {table.seconds(s)}" for name, s in times.items())
                    print("         " + ", ".join(line), flush=True)
                results.append({
                    "name": case.name,
                    "family": case.family,
                    "where": case.where,
                    "threads": threads,
                    "times": times,
                    "notes": notes,
                })
                for library in totals:
                    if library.worker is not None:
                        library.ask("drop", TIME_TIMEOUT)
        finally:
            for library in workers:
                library.end()
            shutil.rmtree(DATA, ignore_errors=True)
    print("All agree." if agree else "NOT ALL AGREE, see above.")
    return {"machine": machine(versions), "cases": results}, agree


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="compare results, time nothing")
    parser.add_argument("--cases", default="", help="regular expression for the names of cases")
    parser.add_argument("--libraries", default=",".join(PEERS), help="of " + ", ".join(PEERS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where they are written")
    parser.add_argument("--render", action="store_true", help="write the last results once more")
    arguments = parser.parse_args()
    arguments.threads = [int(threads) for threads in arguments.threads.split(",")]
    if arguments.render:
        results, agree = json.loads(KEPT.read_text()), True
    else:
        versions = {}
        for peer in arguments.libraries.split(","):
            if found := libraries.version(peer):
                versions[peer] = found
            else:
                print(f"{peer} is not installed and is LEFT OUT.")
        results, agree = run(arguments, versions)
        if not arguments.check:
            KEPT.write_text(json.dumps(results, indent=1))
    if not arguments.check:
        arguments.results.mkdir(parents=True, exist_ok=True)
        table.write(results, arguments.results)
        picture.write(results, arguments.results / "picture.svg")
    return 0 if agree else 1


if __name__ == "__main__":
    raise SystemExit(main())
