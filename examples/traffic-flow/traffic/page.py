"""The report as one HTML file: pictures inside, no script, nothing fetched."""

import base64
from html import escape

from traffic.truth import Truth

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse } 
th, td { padding: .3rem .9rem; border-bottom: 1px solid #d0d7de; text-align: right }
th:first-child, td:first-child { text-align: left }
img { max-width: 100%; height: auto } .quiet { color: #57606a }
"""

_LABELS = {
    "people": "different people",
    "people_per_frame": "people a frame, seen",
    "people_per_frame_with_bridged_gaps": "people a frame, with those hidden for a moment",
    "most_at_once": "most people at once",
    "frames_read": "frames read",
    "seconds": "length of the video (s)",
    "median_speed": "median of the people's speeds (m/s)",
    "fastest_person": "fastest person's median speed (m/s)",
}


def page(
    video: str,
    figures: dict[str, float],
    nearness: tuple[Truth, dict[str, dict[str, float]]] | None,
    assumption: str,
    pictures: dict[str, tuple[bytes, str]],
) -> str:
    """`pictures` maps a heading to an image and its media type."""
    rows = "".join(f"<tr><td>{_LABELS[name]}<td>{value:g}" for name, value in figures.items())
    shown = "".join(
        f'<h2>{escape(heading)}</h2><img alt="{escape(heading)}" src="data:{kind};base64,'
        f'{base64.b64encode(content).decode()}">'
        for heading, (content, kind) in pictures.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>Traffic flow: {escape(video)}</title>'
        f"<style>{_STYLE}</style><h1>Traffic flow</h1><p class=quiet>{escape(video)}</p>"
        f"<table>{rows}</table>{_nearness(nearness)}"
        f"<h2>What the speeds rest on</h2><p>The camera is not calibrated. The speeds assume that "
        f"{escape(assumption)}. They are rough: compare them with each other rather than with a limit.</p>"
        f"{shown}</html>\n"
    )


def _nearness(nearness: tuple[Truth, dict[str, dict[str, float]]] | None) -> str:
    if nearness is None:
        return "<h2>How near the truth</h2><p>No ground truth is known for this video, so nobody can say.</p>"
    truth, compared = nearness
    rows = "".join(
        f"<tr><td>{_LABELS[name]}<td>{row['published']:g}<td>{row['ours']:g}<td>{row['difference']:+g}"
        for name, row in compared.items()
    )
    return (
        f"<h2>How near the truth</h2><p>Published figures: {escape(truth.source)}.</p>"
        f"<table><tr><th><th>published<th>ours<th>difference{rows}</table>"
        "<p>These are totals: they can agree although single people were mixed up. A person who leaves "
        "and comes back, or is hidden for longer than MAX_GAP, counts anew; vehicles pass for people.</p>"
    )
