"""The results as tables for reading and for programs, and what follows from them."""

import csv
import math

from cases import CASES
from libraries import OURS, PEERS

PRODUCTS = next(case for case in CASES if case.family == "products")
LIMITS = ("ordinary stores", "stores past the caches")
SUMMARY = {
    "l2 (64,1024)", "l2 (4096,4096)", "sigmoid_bce (64,1024)", "sigmoid_bce (4096,4096)",
    "softmax_ce (1,1000)", "softmax_ce (128,1000)", "softmax_ce (4096,1000)",
    "softmax_ce (65536,10)", "softmax_ce (256,128256)", "softmax_ce (8,21,512,512)",
    "kl_div (4096,1000)", "triplet (65536,128)", "cosine_embedding (65536,128)",
    "sdml (4096,512)", "sdml_by_products (4096,512)", "ctc (32,500,32) A",
    "ctc (16,1500,5000) C",
}


def limit(times):
    """The faster of the streams without computation, None where there are none."""
    return min((times[name] for name in LIMITS if name in times), default=None)


def peers(times):
    return {name: times[name] for name in PEERS if name in times}


def ratio(times):
    """The best peer's time by ours, None where one of them is missing."""
    if OURS not in times or not peers(times):
        return None
    return min(peers(times).values()) / times[OURS]


def losses(results):
    return [case for case in results["cases"] if case["family"] != PRODUCTS.family]


def seconds(x):
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if x * scale >= 1:
            return f"{x * scale:.3g} {unit}" if x * scale < 1000 else f"{x * scale:.0f} {unit}"
    return f"{x * 1e9:.3g} ns"


def write(results, directory):
    (directory / "table.md").write_text("\n".join(markdown(results)) + "\n")
    (directory / "summary.md").write_text("\n".join(summary(results)) + "\n")
    with open(directory / "table.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows(results))


def rows(results):
    """Seconds; notes stand where there is no time."""
    names = [OURS, *LIMITS, *PEERS]
    yield ["case", "threads", *names, "best peer / ours"]
    for case in results["cases"]:
        cells = [case["times"].get(n, case["notes"].get(n, "")) for n in names]
        yield [case["name"], case["threads"], *cells, ratio(case["times"]) or ""]


def markdown(results):
    yield "# Loss and gradient in several libraries"
    yield ""
    for name, value in results["machine"].items():
        yield f"- {name}: {value}"
    yield ""
    yield (
        "Medians of a call's time. The limit is the time that reading the inputs and writing the "
        "gradients takes without computing anything."
    )
    yield ""
    names = [name for name in PEERS if any(name in c["times"] for c in results["cases"])]
    yield row("case", "threads", OURS, "share of limit", *names, "best peer / ours")
    yield "|---|" + "--:|" * (4 + len(names))
    for case in losses(results):
        yield row(*cells(case, names))
    yield ""
    yield from failures(results)
    yield from means(results)
    yield from slower(results)
    yield from multiplications(results)


def summary(results):
    """A few cases with the most threads, for the README."""
    threads = max((case["threads"] for case in results["cases"]), default=1)
    yield row("case", OURS, "best peer", "", "best peer / ours", "share of limit")
    yield "|---|--:|--:|---|--:|--:|"
    for case in losses(results):
        times = case["times"]
        if case["threads"] != threads or case["name"] not in SUMMARY or not ratio(times):
            continue
        best = min(peers(times), key=times.get)
        share = f"{100 * limit(times) / times[OURS]:.0f} %" if limit(times) else ""
        yield row(case["name"], seconds(times[OURS]), seconds(times[best]), best,
                  f"{ratio(times):.1f}" if ratio(times) >= 1 else f"{ratio(times):.2f}", share)


def row(*cells):
    return f"| {' | '.join(cells)} |"


def cells(case, names):
    times, notes = case["times"], case["notes"]
    best = min(peers(times).values(), default=None)
    yield case["name"]
    yield str(case["threads"])
    yield seconds(times[OURS]) if OURS in times else brief(notes.get(OURS, ""))
    least = limit(times)
    yield f"{100 * least / times[OURS]:.0f} %" if least and OURS in times else ""
    for name in names:
        if name in times:
            text = seconds(times[name])
            yield f"**{text}**" if times[name] == best else text
        else:
            yield brief(notes.get(name, ""))
    yield f"{ratio(times):.2f}" if ratio(times) else ""


def brief(note):
    """A note without what comes after its colon, which `failures` tells."""
    return note.partition(":")[0]


def failures(results):
    told = [
        f"- {name}, {case['name']}, threads: {case['threads']}: {note}"
        for case in results["cases"]
        for name, note in case["notes"].items()
        if note != brief(note)
    ]
    if told:
        yield from ["What fails:", "", *told, ""]


def means(results):
    groups = {"all": lambda case: True}
    for key in ("where", "family", "threads"):
        for value in dict.fromkeys(case[key] for case in losses(results)):
            name = f"threads: {value}" if key == "threads" else value
            groups[name] = lambda case, key=key, value=value: case[key] == value
    yield "| geometric mean of best peer / ours | cases | |"
    yield "|---|--:|--:|"
    for name, belongs in groups.items():
        ratios = [ratio(case["times"]) for case in losses(results) if belongs(case)]
        ratios = [r for r in ratios if r]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            yield f"| {name} | {len(ratios)} | {mean:.2f} |"
    yield ""


def slower(results):
    compared = [case for case in losses(results) if ratio(case["times"])]
    behind = [case for case in compared if ratio(case["times"]) < 1]
    if compared and not behind:
        yield "No peer is faster in any case."
    for case in behind:
        best = min(peers(case["times"]), key=case["times"].get)
        where = f"{case['name']}, threads: {case['threads']}"
        yield f"- {best} is faster in {where} ({ratio(case['times']):.2f})"
    yield ""


def multiplications(results):
    """SDML's multiply-adds beside those of a product of matrices."""
    samples, length = PRODUCTS.shape
    sdml = f"sdml ({samples},{length})"
    rates = {}
    for case in results["cases"]:
        for name, time in case["times"].items():
            if case["name"] == PRODUCTS.name:
                # The worker of scikit-learn has NumPy multiply.
                name = "NumPy" if name == "sklearn" else name
                rates[f"{name}, X · Yᵀ", case["threads"]] = samples**2 * length / time
            elif case["name"] == sdml and name == OURS:
                rates[f"{name}, SDML", case["threads"]] = 3 * samples**2 * length / time
    if rates:
        shape = f"({samples},{length})"
        yield f"Multiply-adds a second, X and Y of {shape}, SDML counted as three products:"
        yield ""
        for (name, threads), rate in rates.items():
            yield f"- {name}, threads: {threads}: {rate / 1e9:.1f} · 10⁹"
