"""Pictures of how costs grow."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.growth import FIGURES, Case


def plot(path: Path, found: dict[Case, dict[str, float]], by: str) -> None:
    """Draw the costs, as ratios to the smallest case, over the number of records or of stores."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    costs, memory = figure.subplots(1, 2)
    for kind, line in (("json", "-"), ("memory", "--")):
        of_kind = [case for case in found if case.kind == kind]
        numbers = [getattr(case, by) for case in of_kind]
        for name, colour in zip(FIGURES[:3], ("C0", "C1", "C2"), strict=True):
            ratios = [found[case][name] / found[of_kind[0]][name] for case in of_kind]
            costs.plot(numbers, ratios, line, marker="o", color=colour, label=f"{name}, {kind}")
        held = [found[case]["bytes"] for case in of_kind]
        memory.plot(numbers, held, line, marker="o", color="C3", label=kind)
    costs.set(xscale="log", xlabel=by, ylabel="cost of one, beside the fewest", ylim=(0, None))
    memory.set(xscale="log", yscale="log", xlabel=by, ylabel=f"resident bytes of each of the {by}")
    for panel in (costs, memory):
        panel.legend(fontsize="small")
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
