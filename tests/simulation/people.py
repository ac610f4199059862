"""People: they look at how far a project is, edit its file, and commit; in the end they tidy up."""

import random
from collections.abc import Mapping
from typing import Any

from reconciler.core.names import ProjectName
from tests.fakes.history import Files, History, changed, path_of
from tests.simulation.facts import Facts
from tests.simulation.setting import STAGES, Setting
from tests.simulation.story import Story


class People:
    def __init__(self, setting: Setting, chance: random.Random, git: History, facts: Facts, story: Story) -> None:
        self._setting = setting
        self._chance = chance
        self._git = git
        self._facts = facts
        self._story = story

    def edit(self) -> None:
        """One commit, of whatever kind."""
        name = self._chance.choice(self._setting.project_names())
        node = self._chance.choice(self._setting.node_names())
        last = self._facts.history(ProjectName(name)).last_number
        stage = self._chance.choice(STAGES[: self._setting.stages])
        asked = {"stage": stage, **({"after": last} if last else {})}
        edits: dict[str, tuple[str, Mapping[str, Any]]] = {
            "changes the environment": (path_of(name), {"environment": {"STEP": str(self._git.newest)}}),
            "asks for a stage": (path_of(name), {"next": asked}),
            "aborts": (path_of(name), {"abort": max(last, 1)}),
            "aborts and asks again": (path_of(name), {"abort": max(last, 1), "next": asked}),
            "pauses": (path_of(name), {"paused": True}),
            "resumes": (path_of(name), {"paused": None}),
            "drains": (f"nodes/{node}.yaml", {"drained": True}),
            "takes back into service": (f"nodes/{node}.yaml", {"drained": None}),
        }
        what = self._chance.choice([*edits, "deletes"])
        if what == "deletes":
            self._toggle(name)
            return
        path, fields = edits[what]
        self._commit(changed(self._git.files, path, fields), f"{what}: {path} {dict(fields)}")

    def tidy_up(self) -> None:
        """Nobody is drained, nothing is paused: what can run is to run now."""
        files = self._git.files
        for name in self._setting.project_names():
            if path_of(name) in files:
                files = changed(files, path_of(name), {"paused": None})
        for node in self._setting.node_names():
            files = {path: content for path, content in files.items() if path != f"nodes/{node}.yaml"}
        if files != self._git.files:
            self._commit(files, "tidy up")

    def _toggle(self, name: str) -> None:
        files, path = dict(self._git.files), path_of(name)
        if path in files:
            del files[path]
            self._commit(files, f"deletes {path}")
        else:
            self._commit({**files, path: {"name": name}}, f"restores {path}")

    def _commit(self, files: Files, what: str) -> None:
        self._git.commit(files)
        self._story.tell(self._facts.now(), "people", f"commit {self._git.newest}: {what}")
