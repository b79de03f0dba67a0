"""The results as a picture: how many times as long as ours each library takes."""

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt  # noqa: E402
from libraries import OURS, PEERS  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: E402
from table import losses, peers, ratio  # noqa: E402

COLOURS = dict(zip(PEERS, ("#d95f02", "#7570b3", "#1b9e77", "#66a61e", "#e7298a")))
MARKS = dict(zip(PEERS, "osD^v"))
FASTER, SLOWER = "#cfd8e6", "#f4c7c3"


def write(results, path):
    cases = [case for case in losses(results) if ratio(case["times"])]
    threads = sorted({case["threads"] for case in cases})
    names = list(dict.fromkeys(case["name"] for case in cases))
    if not cases:
        return
    figure, panels = plt.subplots(
        1, len(threads), sharey=True, squeeze=False, layout="constrained",
        figsize=(3 + 5 * len(threads), 1.6 + 0.27 * len(names)),
    )
    for panel, count in zip(panels[0], threads):
        draw(panel, [case for case in cases if case["threads"] == count], names)
        panel.set_title(f"{count} thread{'s' if count > 1 else ''}", fontsize=10)
    panels[0][0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0][0].set_ylim(len(names) - 0.5, -0.5)
    found = [name for name in PEERS if any(name in case["times"] for case in cases)]
    dots = [
        plt.Line2D([], [], color=COLOURS[name], marker=MARKS[name], linestyle="", label=name)
        for name in found
    ]
    figure.legend(handles=dots, loc="outside lower center", ncols=len(dots), frameon=False)
    figure.suptitle(
        f"Loss and gradient: time by that of {OURS}; the bar and the number are the best peer's",
        fontsize=11,
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw(panel, cases, names):
    for case in cases:
        row, best = names.index(case["name"]), ratio(case["times"])
        panel.plot([1, best], [row, row], color=FASTER if best >= 1 else SLOWER, linewidth=7,
                   solid_capstyle="butt", zorder=1)
        for name, time in peers(case["times"]).items():
            panel.plot(time / case["times"][OURS], row, color=COLOURS[name], marker=MARKS[name],
                       markersize=4.5, linestyle="", zorder=3)
        panel.text(1.01, row, f"{best:.1f}" if best >= 1 else f"{best:.2f}", fontsize=8,
                   va="center", transform=panel.get_yaxis_transform())
    panel.axvline(1, color="black", linewidth=1, zorder=2)
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.tick_params(axis="x", labelsize=7)
    panel.grid(axis="x", color="#e6e6e6", linewidth=0.6, zorder=0)
    panel.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
