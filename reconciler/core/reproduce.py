"""Repeating a run: the request that brings back what is recorded of it, and what no request can bring back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.desired import Environment, EnvironmentValue, Pins, Requires, Secret, Stage, Workspace
from reconciler.core.entries import MASK
from reconciler.core.environment import Setting
from reconciler.core.names import RunNumber
from reconciler.core.records import InputFile
from reconciler.core.status import NodeStatus, RunStatus
from reconciler.core.unchanged import same_file

SHOWN = 5  # files in one message


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What a new run of the stage would find today, without any request."""

    stage: Stage
    requires: Requires
    environment: Mapping[str, Setting]
    inputs: tuple[str, ...] = ()  # as the project declares them
    base: RunNumber | None = None  # whose workspace it would start from
    files: tuple[InputFile, ...] | None = None  # behind the recorded inputs; None: nobody looked
    nodes: Sequence[NodeStatus] = ()
    then: Stage | None = None  # the stage as it was at the run's commit; None: that is not known
    then_requires: Requires | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    base: RunNumber | None
    environment: Environment
    pins: Pins
    remarks: tuple[str, ...]  # what is not pinned, for people


def repetition(run: RunStatus, now: Now) -> Repetition:
    """How to run again what ``run`` ran."""
    recorded, nameless = recorded_environment(run)
    image = run.image if run.image != now.stage.image else None
    known = {name: setting for name, setting in now.environment.items() if name not in nameless}
    return Repetition(
        base=run.base,
        environment=pinned_environment(recorded, known),
        pins=Pins(image=run.image_digest or image, command=run.command, process_command=run.process_command),
        remarks=(
            *_about_program(run, now),
            *_about_environment(recorded, nameless),
            *_about_stage(now),
            *_about_base(run, now),
            *_about_inputs(run, now),
            *_about_gpus(run, now.nodes),
        ),
    )


def recorded_environment(run: RunStatus) -> tuple[dict[str, str | Secret], frozenset[str]]:
    """The variables as the run had them, and those of which only the mask is known (an older Winslow wrote it)."""
    nameless = frozenset(name for name, value in run.environment.items() if value == MASK and name not in run.secrets)
    values: dict[str, str | Secret] = {
        name: Secret(run.secrets[name]) if name in run.secrets else value
        for name, value in run.environment.items()
        if name not in nameless
    }
    return values, nameless


def pinned_environment(recorded: Mapping[str, str | Secret], now: Mapping[str, Setting]) -> Environment:
    """What a request must say so that the merged environment is exactly ``recorded``; nothing that is so anyway."""
    names = sorted({*recorded, *now})
    wanted: dict[str, EnvironmentValue] = {name: recorded.get(name) for name in names}
    return {name: value for name, value in wanted.items() if name not in now or now[name].value != value}


# --- what is not pinned ---


def _about_program(run: RunStatus, now: Now) -> Iterator[str]:
    if run.reused is not None:
        yield f"run {run.run} ran no program: it took the files of run {run.reused}; this runs the program again"
    if run.image_digest is not None and "@" not in run.image_digest:
        where = f" (it ran on {run.node})" if run.node else ""
        yield (
            f"of image {run.image} only the engine's own id is known, for it came from no registry: only a node that "
            f"has that very image can run it{where}"
        )
    if run.image_digest is None and (run.image or now.stage.image):
        told = f"image {run.image or 'none'} is taken as its name stands now"
        yield f"no image digest is recorded (it ran as a plain process, perhaps): {told}"
    for word, then, today in (
        ("command", run.command, now.stage.command),
        ("process.command", run.process_command, now.stage.process_command),
    ):
        if not then and today:
            yield f"the record holds no {word}, and the pipeline has one by now: {' '.join(today)}"


def _about_environment(recorded: Mapping[str, str | Secret], nameless: Iterable[str]) -> Iterator[str]:
    secrets = sorted(name for name, value in recorded.items() if isinstance(value, Secret))
    if secrets:
        yield f"the values of secrets ({', '.join(secrets)}) are the nodes' own: nobody records whether they changed"
    if nameless:
        yield f"an older Winslow did not record which secrets these were: {', '.join(sorted(nameless))}"


def _about_stage(now: Now) -> Iterator[str]:
    """Fields that steer how a program runs and that no request names."""
    then, today = now.then, now.stage
    if then is None:
        yield "the commit that the run was made from can't be read here: compare the stage's other fields yourself"
        return
    changed = [
        word
        for word, before, after in (
            ("network", then.network, today.network),
            ("shm_size", then.shm_size, today.shm_size),
            ("requires", now.then_requires, now.requires),
        )
        if before != after
    ]
    if changed:
        yield f"the stage's {' and '.join(changed)} changed since; they count as they are now"


def _about_base(run: RunStatus, now: Now) -> Iterator[str]:
    if run.base is None and now.base is not None and now.stage.workspace is Workspace.CONTINUE:
        yield (
            f"it began from the project's init/, which no request can ask for once an earlier stage has succeeded: "
            f"the new run starts from the workspace of run {now.base}"
        )


def _about_inputs(run: RunStatus, now: Now) -> Iterator[str]:
    if run.inputs != now.inputs:
        told = ", ".join(run.inputs) or "none"
        yield f"the project declares other inputs now; to give it the same write: inputs: [{told}]"
    blurred = [one.path for one in run.input_files if one.changed]
    if blurred:
        yield f"changed while the run read them, so what it saw is lost: {_some(blurred)}"
    if run.inputs and not run.input_files:
        yield "nothing is recorded of its inputs' contents"
    elif run.input_files and now.files is None:
        yield f"nobody compared its {len(run.input_files)} input files with today's: --config FILE, a node.yaml, does"
    elif now.files is not None:
        yield from _compared({one.path: one for one in run.input_files}, {one.path: one for one in now.files})


def _compared(then: Mapping[str, InputFile], now: Mapping[str, InputFile]) -> Iterator[str]:
    both = [path for path in then if path in now]
    unread = [path for path in both if then[path].unread or now[path].unread]
    read = [path for path in both if not (then[path].unread or now[path].unread or then[path].changed)]
    differing = [path for path in read if not same_file(then[path], now[path])]
    for word, paths in (
        ("other content, or at least another time, than then", differing),
        ("not read, hence not compared (links to directories, pipes)", unread),
        ("gone since", [path for path in then if path not in now]),
        ("not there then", [path for path in now if path not in then]),
    ):
        if paths:
            yield f"inputs, {word}: {_some(paths)}"


def _about_gpus(run: RunStatus, nodes: Sequence[NodeStatus]) -> Iterator[str]:
    for model, driver in sorted({(one.model, one.driver) for one in run.gpus}):
        having = [node.node for node in nodes if any(model and model in gpu for gpu in node.gpus)]
        where = f"nodes with that model: {', '.join(having)}" if having else "no node has that model now"
        yield (
            f"it ran on a GPU {model or 'of unknown model'}"
            f"{f' with driver {driver}' if driver else ''}; {where}; to insist on the model write requires: "
            f'{{gpus: {{model: "{model}"}}}} for the stage'
        )


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(paths[:SHOWN]) + more
