"""The page's routes. They read; there is nothing here that could change anything."""

import json
from collections.abc import Mapping, Sequence
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from readonly_ui import machines, outputs
from readonly_ui.calls import Calls
from readonly_ui.compare import changed_environment, outdated_by
from readonly_ui.logs import TAIL, Logs, Tail, as_json
from readonly_ui.measured import Measurements
from readonly_ui.overview import (
    GOING,
    INFORMATION,
    Overview,
    find_run,
    going_run,
    matches,
    needs_person,
    newest_run,
    searchable,
    site_troubles,
    source_troubles,
    troubles,
    unsaid,
    works_on,
)
from readonly_ui.panels import SPANS
from readonly_ui.render import HEADERS, STATIC_TYPES, Renderer, SafeHeaders, static_files, tagged
from readonly_ui.resources import asked, used
from readonly_ui.watch import Known, Watch
from reconciler.codec.status import dump_status
from reconciler.core.ledger import RunPhase
from reconciler.core.names import ProjectName, RunNumber, run_directory
from reconciler.core.records import GpuUsed
from reconciler.core.status import DeviceStatus, NodeStatus, ProjectStatus, RunStatus, Status
from reconciler.errors import BadInput, WinslowError
from reconciler.readers import Reader

KEEP = 1.0
PATIENCE = 3.0


def create_app(
    reader: Reader, *, title: str = "Winslow", refresh: float = 2.0, patience: float = PATIENCE
) -> Starlette:
    """The status page over ``reader``. ``refresh``: seconds between two looks of an open page."""
    page = Page(reader, title=title, refresh=refresh, patience=patience)
    run = "/projects/{project}/runs/{run:int}"
    routes = [
        Route("/", page.overview),
        Route("/projects/{project}", page.project),
        Route(run, page.run),
        Route(f"{run}/log", page.log),
        Route(f"{run}/output/{{path:path}}", page.output),
        Route("/nodes", page.nodes),
        Route("/nodes/{node}", page.node),
        Route("/api/status", page.api),
        Route("/healthz", page.health),
        Route("/static/{name}", page.static),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={HTTPException: page.refused, 500: page.broken},
    )


class Page:
    """The endpoints; each takes the last known status and says how to show it."""

    def __init__(self, reader: Reader, *, title: str, refresh: float, patience: float) -> None:
        self._reader = reader
        self._calls = Calls(patience=patience)
        self._watch = Watch(reader, keep=KEEP, patience=patience)
        self._logs = Logs(reader, self._calls)
        self._measurements = Measurements(reader, self._calls)
        self._render = Renderer(title=title, refresh=refresh)
        self._static = static_files()

    async def overview(self, request: Request) -> Response:
        known = await self._watch.known()
        if known.status is None:
            return self._nothing(request, known)
        query = request.query_params.get("filter", "")
        overview = Overview.of(known.status)
        return self._render(
            request,
            "overview.html",
            known=known,
            overview=overview,
            troubles=site_troubles(known.status),
            works_on=works_on,
            troubles_of=lambda project: troubles(unsaid(project)),
            query=query,
            shown=partial(matches, query=query),
            any_shown=any(matches(project, query) for project in overview.projects),
            searchable=searchable,
            going_run=going_run,
            newest_run=newest_run,
            outdated_by=outdated_by,
        )

    async def project(self, request: Request) -> Response:
        known = await self._watch.known()
        if known.status is None:
            return self._nothing(request, known)
        project = find_project(known.status, request)
        followed = going_run(project) or newest_run(project)
        tail = await self._tail(request, project, followed) if followed else None
        return self._render(
            request,
            "project.html",
            known=known,
            project=project,
            followed=followed,
            tail=tail,
            find_run=find_run,
            outdated_by=outdated_by,
            changed_environment=changed_environment,
            needs_person=needs_person,
            answers=machines.in_order(project.nodes),
            source=source_troubles(known.status),
            conditions=[one for one in unsaid(project) if one.type not in INFORMATION],
            information=[one for one in project.conditions if one.type in INFORMATION],
        )

    async def run(self, request: Request) -> Response:
        known = await self._watch.known()
        if known.status is None:
            return self._nothing(request, known)
        project = find_project(known.status, request)
        run = requested_run(project, request)
        tail = await self._tail(request, project, run)
        files, problem = await self._output_files(project.project, run)
        gpus = gpus_of(known.status, project, run)
        measured = await self._measurements.of_run(project.project, run, gpus)
        return self._render(
            request,
            "run.html",
            known=known,
            project=project,
            run=run,
            followed=run,
            tail=tail,
            pace=1 if run.phase in GOING else 10,
            files=files,
            files_problem=problem,
            is_image=outputs.is_image,
            find_run=find_run,
            asked=asked(run.requires),
            used=used(run),
            gpus=gpus,
            measured=measured,
        )

    async def _tail(self, request: Request, project: ProjectStatus, run: RunStatus) -> Tail | None:
        """The log's end, unless the script says that it holds this log already."""
        if request.headers.get("x-fragment") == f"log-{run.run}":
            return None
        return await self._logs.tail(project.project, run.run, length=_whole_number(request, "tail") or TAIL)

    async def _output_files(self, project: ProjectName, run: RunStatus) -> tuple[Sequence[tuple[str, int]], str | None]:
        if run.phase is not RunPhase.SUCCEEDED:
            return (), None
        try:
            return await self._calls(partial(self._reader.output_files, project, run.run)), None
        except WinslowError as error:
            return (), str(error)

    async def nodes(self, request: Request) -> Response:
        known = await self._watch.known()
        if known.status is None:
            return self._nothing(request, known)
        nodes = sorted(known.status.nodes, key=lambda node: node.node)
        return self._render(request, "nodes.html", known=known, nodes=nodes, troubles=troubles, machines=machines)

    async def node(self, request: Request) -> Response:
        known = await self._watch.known()
        if known.status is None:
            return self._nothing(request, known)
        node = find_node(known.status, request)
        span = request.query_params.get("span", "hour")
        if span not in SPANS:
            raise HTTPException(400, f"span must be {', '.join(SPANS)}, for example ?span=day.")
        return self._render(
            request,
            "node.html",
            known=known,
            node=node,
            troubles=troubles,
            machines=machines,
            measured=await self._measurements.of_node(node, span),
            spans=list(SPANS),
            chosen=span,
            pace=5,
        )

    async def log(self, request: Request) -> Response:
        """All of it as text, or with ``?offset=`` one page of lines for the script that follows it."""
        project, run = _names(request)
        offset = _whole_number(request, "offset")
        try:
            page = await self._logs.page(project, run, offset=offset or 0)
        except WinslowError as error:
            raise _refusal(error) from error
        if offset is not None:
            return _json(request, as_json(page))
        return StreamingResponse(self._logs.text(project, run, page), media_type="text/plain; charset=utf-8")

    async def output(self, request: Request) -> Response:
        project, run = _names(request)
        path: str = request.path_params["path"]
        try:
            absolute = await self._calls(partial(self._reader.open_output, project, run, path))
        except WinslowError as error:
            raise _refusal(error) from error
        return outputs.response(absolute, path)

    async def api(self, request: Request) -> Response:
        known = await self._watch.known()
        if known.status is None:
            return _json(request, {"error": known.problem}, code=503)
        return _json(request, dump_status(known.status))

    async def health(self, request: Request) -> Response:
        """200 while the page shows what is; 503 with the reason while it can only show what was."""
        known = await self._watch.known()
        return _json(
            request, {"ok": known.problem is None, "problem": known.problem}, code=503 if known.problem else 200
        )

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            raise HTTPException(404, f"There is no file {name} here.")
        return tagged(request, self._static[name], STATIC_TYPES[name])

    async def refused(self, request: Request, error: Exception) -> Response:
        """404 and its like, in the same clothes, with the way on: what exists."""
        if not isinstance(error, HTTPException):
            return await self.broken(request, error)
        known = await self._watch.known()
        projects = known.status.projects if known.status else ()
        here = next((one for one in projects if one.project == request.path_params.get("project")), None)
        detail = "There is no such page." if error.detail == "Not Found" else error.detail
        return self._render(
            request,
            "refused.html",
            code=error.status_code,
            status_code=error.status_code,
            detail=detail,
            known=known,
            projects=projects,
            here=here,
        )

    async def broken(self, request: Request, error: Exception) -> Response:
        """Our own fault: the traceback goes to the server's log, not to the person. No middleware sees this one."""
        detail = "The page itself failed; the server's log says why."
        response = self._render(
            request, "refused.html", code=500, status_code=500, detail=detail, known=Known(), projects=(), here=None
        )
        response.headers.update({name.decode(): value.decode() for name, value in HEADERS.items()})
        return response

    def _nothing(self, request: Request, known: Known) -> Response:
        return self._render(request, "nothing.html", code=503, known=known)


def find_project(status: Status, request: Request) -> ProjectStatus:
    name = request.path_params["project"]
    project = next((project for project in status.projects if project.project == name), None)
    if project is None:
        raise HTTPException(404, f"There is no project {name}.")
    return project


def requested_run(project: ProjectStatus, request: Request) -> RunStatus:
    number = request.path_params["run"]
    run = find_run(project, number)
    if run is None:
        raise HTTPException(404, f"Project {project.project} has no run {number}.")
    return run


def find_node(status: Status, request: Request) -> NodeStatus:
    name = request.path_params["node"]
    node = next((node for node in status.nodes if node.node == name), None)
    if node is None:
        raise HTTPException(404, f"There is no node {name}.")
    return node


def gpus_of(status: Status, project: ProjectStatus, run: RunStatus) -> Sequence[GpuUsed | DeviceStatus]:
    """What it used; while it runs, what it holds."""
    name = f"{project.project}/{run_directory(run.run, run.stage)}"
    return run.gpus or [device for node in status.nodes for device in machines.held_by(node, name)]


def _names(request: Request) -> tuple[ProjectName, RunNumber]:
    return ProjectName(request.path_params["project"]), RunNumber(request.path_params["run"])


def _whole_number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return int(text[:20])
    except ValueError:
        raise HTTPException(400, f"{name} must be a whole number, for example ?{name}=0.") from None


def _refusal(error: WinslowError) -> HTTPException:
    return HTTPException(404 if isinstance(error, BadInput) else 503, str(error))


def _json(request: Request, value: Mapping[str, object], *, code: int = 200) -> Response:
    return tagged(request, json.dumps(value).encode(), "application/json", code=code)
