"""Pulling ahead of time: while a stage runs, the nodes that will probably get the next one fetch its image.

A hint: whether it came true, failed or was in vain, the next stage starts all the same.
"""

from collections.abc import Iterator

from reconciler.core.actions import PrepareImage
from reconciler.core.decide import StartStage
from reconciler.core.desired import Pipeline, Project, Pull, Stage
from reconciler.core.draft import Draft
from reconciler.core.fleet import Fleet
from reconciler.core.ledger import ProjectHistory, Run
from reconciler.core.start import need_of_start

LIKELY = 2
"""So many of the best nodes prepare themselves."""

LOOKS = 8
"""So many images a plan considers: each costs a placement."""


def plan_preparing(draft: Draft) -> None:
    """One image at a time that this node lacks: that of the stage after a running one."""
    if not draft.me.may_prepare or draft.me.runtime != "docker":
        return
    known, considered = draft.me.present_images | draft.me.unprepared, set[str]()
    for project, history, start in _following(draft):
        image = start.stage.image
        if image is None or image in considered or image in known or len(considered) >= LOOKS:
            continue
        considered.add(image)
        if _is_likely(draft, project, history, start):
            draft.actions.append(PrepareImage(project=project.id, image=image, because="ProbablyNext"))
            return


def _following(draft: Draft) -> Iterator[tuple[Project, ProjectHistory, StartStage]]:
    """The stages that will start once a running one succeeds."""
    for name, project in draft.desired.projects.items():
        history = draft.ledger.history(name)
        run, pipeline = history.last_run, draft.desired.pipelines.get(project.pipeline)
        if run is None or pipeline is None or run.claim is None or project.paused:
            continue
        stage = _after(pipeline, run)
        if stage is not None and stage.pull is not Pull.NEVER:
            yield project, history, StartStage(stage=stage, pipeline=pipeline, request=None, base=None)


def _after(pipeline: Pipeline, run: Run) -> Stage | None:
    names = [stage.name for stage in pipeline.stages]
    following = pipeline.stages[names.index(run.stage) + 1 :] if run.stage in names else ()
    return following[0] if following else None


def _is_likely(draft: Draft, project: Project, history: ProjectHistory, start: StartStage) -> bool:
    """Of all nodes those that would be first by now, and the claimant: what it holds is free by then."""
    run, me = history.last_run, draft.me.name
    if me not in draft.fleet:
        return False
    need = need_of_start(project, history, start)
    if run is not None and run.claim is not None and run.claim.node == me:
        alone = Fleet([node for node in draft.nodes if node.name == me], draft.desired, {}, ttl=draft.ttl)
        return alone.first(need) is not None
    rank = draft.fleet.rank(need, me)
    return rank is not None and rank < LIKELY
