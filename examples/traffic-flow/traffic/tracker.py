"""Follows people from frame to frame. Pure: detections in, tracks out."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from traffic.assignment import Matrix, colour_costs, pairs, place_costs
from traffic.motion import PLACE_NOISE, Motion, begin, correct, predict
from traffic.records import Detection

_COLOUR_MEMORY = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts as one person; times in seconds."""

    max_gap: float
    """A person unseen for longer has left, and counts anew on return."""
    min_track: float
    """Whoever was followed for less is a flicker, not a person."""


@dataclass(slots=True)
class Track:
    """One person: all sightings so far, and the estimate of the motion after the last one."""

    seen: list[Detection]
    motion: Motion
    colours: Matrix
    at: float = field(default=0.0)
    """Seconds of the last sighting."""

    @property
    def height(self) -> float:
        """The last one, in pixels."""
        return self.seen[-1].height

    def take(self, detection: Detection, motion: Motion, seconds: float) -> None:
        """Adds a sighting; clothes change slowly, as the light does."""
        self.motion = correct(motion, detection.box.foot, detection.height)
        self.colours = _COLOUR_MEMORY * self.colours + (1 - _COLOUR_MEMORY) * np.asarray(detection.colours)
        self.seen.append(detection)
        self.at = seconds


def follow(
    detections: list[Detection], fps: float, rules: Rules, tell: Callable[[int], None] = lambda frame: None
) -> list[list[Detection]]:
    """The sightings of each person, in order of first appearance; `tell` hears each frame's number."""
    frames: dict[int, list[Detection]] = defaultdict(list)
    for detection in detections:
        frames[detection.frame].append(detection)
    going: list[Track] = []
    gone: list[Track] = []
    for frame in sorted(frames):
        seconds = frame / fps
        gone += [track for track in going if not _still_here(track, seconds, rules)]
        going = [track for track in going if _still_here(track, seconds, rules)]
        going += _advance(going, frames[frame], seconds)
        tell(frame)
    return _people([*gone, *going], rules, fps)


def _still_here(track: Track, seconds: float, rules: Rules) -> bool:
    """A track that was seen once only, and not at once again, was a flicker."""
    patience = rules.max_gap if len(track.seen) > 2 else rules.max_gap / 4
    return seconds - track.at <= patience


def _advance(going: list[Track], seen: list[Detection], seconds: float) -> list[Track]:
    """Gives each detection to its track; the tracks that begin with the others."""
    motions = [predict(track.motion, seconds - track.at, track.height) for track in going]
    taken = _match(going, motions, seen) if going else []
    for index, number in taken:
        going[index].take(seen[number], motions[index], seconds)
    known = {number for _, number in taken}
    return [
        Track([person], begin(person.box.foot, person.height), np.asarray(person.colours), seconds)
        for number, person in enumerate(seen)
        if number not in known
    ]


def _match(going: list[Track], motions: list[Motion], seen: list[Detection]) -> list[tuple[int, int]]:
    heights = np.array([person.height for person in seen])
    noise = PLACE_NOISE * np.array([track.height for track in going])
    deviations = np.hypot([motion.deviation for motion in motions], noise)
    places = np.array([motion.place for motion in motions])
    costs = place_costs(places, deviations, np.array([person.box.foot for person in seen]), heights)
    clothes = colour_costs(
        np.array([track.colours for track in going]), np.array([person.colours for person in seen])
    )
    return pairs(costs + clothes)


def _people(tracks: list[Track], rules: Rules, fps: float) -> list[list[Detection]]:
    lasting = [
        track.seen
        for track in tracks
        if (track.seen[-1].frame - track.seen[0].frame) / fps >= rules.min_track
    ]
    return sorted(lasting, key=lambda seen: (seen[0].frame, seen[0].left))
