"""How near we are to the truth, where somebody has published it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Published figures for a video, and who published them."""

    source: str
    people: int
    people_per_frame: float


PUBLISHED = {
    "crossing.mp4": Truth(
        source="MOTChallenge 2015, sequence PETS09-S2L1 (PETS 2009, S2.L1, view 1)",
        people=19,
        people_per_frame=5.6,
    )
}
"""By the video's file name: the example's own video, and none else."""


def comparison(truth: Truth, figures: dict[str, float]) -> dict[str, dict[str, float]]:
    """For each published figure: the truth, ours, and ours minus the truth."""
    published = {"people": float(truth.people), "people_per_frame": truth.people_per_frame}
    return {
        name: {"published": value, "ours": figures[name], "difference": round(figures[name] - value, 2)}
        for name, value in published.items()
    }
