"""What each page says, asked of the app in this process."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.codec.status import dump_status
from reconciler.core.names import RunNumber
from reconciler.core.status import StageState, Status, WaitingFor, condition
from reconciler.errors import BadInput

if TYPE_CHECKING:
    from tests.ui.conftest import FakeReader, Get


def section(html: str, heading: str) -> str:
    """The part of a page under one heading."""
    return html.split(f'<h2 id="{heading}"')[1].split("</section>", maxsplit=1)[0]


def test_the_overview_counts_what_runs_waits_failed_and_is_done(get: Get) -> None:
    strip = get("/").text.split('aria-label="Summary"')[1].split("</ul>")[0]

    words = re.sub(r"<[^>]+>", "", strip).split("\n")

    assert [word.strip() for word in words if word.strip(" >")] == [
        "1 running",
        "3 waiting for you, 1 of them failed",
        "2 queued or paused, 1 being deleted",
        "1 done",
        "2 nodes live, 1 silent",
    ]


def test_what_needs_a_person_comes_first_with_the_text_to_paste(get: Get) -> None:
    html = get("/").text

    asked = section(html, "needs-you")

    assert html.index('id="needs-you"') < html.index('id="running"') < html.index('id="projects"')
    assert [name for name in ("A8 north", "B10 bridge", "Stuttgart Mitte") if name in asked] == [
        "A8 north",
        "B10 bridge",
        "Stuttgart Mitte",
    ]
    assert "Ulm crossing" not in asked
    assert "next:\n  stage: report\n  after: 3\n" in asked
    assert 'data-copy="a8-north-edit"' in asked
    assert 'href="https://forge.example/lab/state/-/edit/main/projects/a8-north.yaml"' in asked


def test_an_offered_branch_is_a_button_in_the_forge_and_a_command_without_one(get: Get) -> None:
    asked = section(get("/").text, "needs-you")
    linked, plain = asked.split('id="needs-b10')

    link = (
        '<a class="button" href="https://forge.example/lab/state/-/merge_requests/new?source_branch=proposals/a8-north/'
    )
    assert f'{link}3-continue" rel="noopener noreferrer">Start stage &#39;report&#39; after run 3</a>' in linked
    assert f"{link}3-redo" in linked
    assert "git pull" not in linked
    assert "git pull &amp;&amp; git merge --no-edit origin/proposals/b10-bridge/3-continue &amp;&amp; git push" in plain
    assert "Start stage &#39;track&#39; again after run 3" in plain
    assert plain.count("<details") == plain.count("</details>")


def test_a_finished_project_whose_request_does_nothing_needs_a_person(reader: FakeReader, get: Get) -> None:
    stale = condition("RequestStale", "next is stale (the last run is 4)")
    waits = WaitingFor(reason=stale.type, message=stale.message, edit="next: {stage: detect, after: 4}")
    done = next(one for one in reader.now.projects if one.project == "ulm-01")
    reader.now = replace(reader.now, projects=(replace(done, waiting_for=waits, conditions=(stale,)),), conditions=())

    overview, page = get("/").text, get("/projects/ulm-01").text

    assert "<b>1</b> waiting for you" in overview
    assert "<b>0</b> done" in overview
    assert "next: {stage: detect, after: 4}" in section(overview, "needs-you")
    assert "(replace <code>next:</code> if it is there)" in section(overview, "needs-you")
    assert "<h2>Needs you</h2>" in page
    assert overview.count(stale.message) == page.count(stale.message) == 1


def test_an_answered_request_is_a_quiet_line(reader: FakeReader, get: Get) -> None:
    handled = condition("RequestHandled", "next was answered by run 4 (report)")
    reader.now = replace(reader.now, projects=tuple(replace(one, conditions=(handled,)) for one in reader.now.projects))

    page = get("/projects/ulm-01").text

    assert '<p class="facts">next was answered by run 4 (report)</p>' in page
    assert "RequestHandled" not in page
    assert "Conditions" not in page
    assert handled.message not in get("/").text


def test_a_reason_that_is_the_phase_is_not_said_again(get: Get) -> None:
    assert section(get("/").text, "waiting").count("Paused") == 1
    assert "<code>Paused</code>" not in get("/projects/karlsruhe-02").text


def test_a_broken_file_is_shown_with_its_place_and_only_once(get: Get) -> None:
    html = get("/").text

    assert html.count("projects/stuttgart-mitte.yaml:4:1: unknown field") == 1
    assert "forge.example did not answer for 12 min" in html


def test_a_running_stage_shows_node_progress_and_elapsed_time(reader: FakeReader, get: Get) -> None:
    running = section(get("/").text, "running")

    assert "gpu-1" in running
    assert 'value="41.6"' in running
    assert "42 %" in running
    (elapsed,) = re.findall(r'<span class="end">(\d+) h (\d+) min</span>', running)
    began = next(run.started_at for run in reader.now.projects[0].runs if run.progress)
    assert began is not None
    shown = timedelta(hours=int(elapsed[0]), minutes=int(elapsed[1]))
    assert timedelta(hours=3, minutes=12) <= shown <= datetime.now(UTC) - began


def test_queued_projects_say_what_they_wait_for(get: Get) -> None:
    waiting = section(get("/").text, "waiting")

    assert "detect needs 2 GPUs with 8 GiB" in waiting
    assert "NoGpuFree" in waiting


def test_runs_of_a_stage_say_what_was_changed_between_them(reader: FakeReader, get: Get) -> None:
    ulm = reader.now.projects[0]
    *others, last = ulm.runs
    last = replace(last, environment={"FRAME_STEP": "1", "THRESHOLD": "0.35", "<new>": "x"})
    reader.now = replace(reader.now, projects=(replace(ulm, runs=(*others, last)),))

    rows = get("/projects/ulm-07").text.split('<tr id="run-')

    changes = [re.findall(r'<span class="change">(.*?)</span>', row) for row in rows[1:]]
    assert changes == [
        ["&lt;new&gt; not set → x", "LICENCE (secret tracker) → not set", "THRESHOLD 0.45 → 0.35"],
        [],
        [],
    ]


def test_a_stage_that_ran_before_an_earlier_stage_ran_again_is_marked(reader: FakeReader, get: Get) -> None:
    done = next(one for one in reader.now.projects if one.project == "ulm-01")
    stages = (done.stages[0], replace(done.stages[1], run=RunNumber(5)), *done.stages[2:])
    reader.now = replace(reader.now, projects=(replace(done, stages=stages),))

    chips = section(get("/").text, "projects")
    graphic = section(get("/projects/ulm-01").text, "stages")

    assert "<b>detect</b> SUCCEEDED</li>" in chips
    assert "<b>track</b> SUCCEEDED before run 5</li>" in chips
    assert graphic.count("SUCCEEDED before run 5") == 2


def test_a_stage_that_waits_to_run_again_is_not_marked_as_old(reader: FakeReader, get: Get) -> None:
    """Its gate waits after that run, not before it."""
    done = next(one for one in reader.now.projects if one.project == "ulm-01")
    newer = replace(done.stages[1], run=RunNumber(5))
    gate = replace(done.stages[2], state=StageState.PAUSED)
    stages = (done.stages[0], newer, gate, *done.stages[3:])
    reader.now = replace(reader.now, projects=(replace(done, stages=stages),))
    assert "<b>track</b> PAUSED</li>" in section(get("/").text, "projects")
    assert "PAUSED before" not in get("/projects/ulm-01").text


def test_one_node_is_not_many(reader: FakeReader, get: Get) -> None:
    reader.now = replace(reader.now, nodes=tuple(node for node in reader.now.nodes if node.live)[:1])
    assert "<b>1</b> node live" in get("/").text


def test_a_broken_file_whose_last_good_version_goes_on_is_told_though_nothing_waits(
    reader: FakeReader, get: Get
) -> None:
    broken = condition("FileBroken", "projects/ulm-01.yaml:2:1: unknown field")
    done = next(one for one in reader.now.projects if one.project == "ulm-01")
    reader.now = replace(reader.now, projects=(replace(done, conditions=(broken,)),), conditions=(broken,))
    asked = section(get("/").text, "needs-you")
    assert "Nothing waits for you" in asked
    assert "The last good version of a broken file goes on until it is repaired: " in asked
    assert 'href="/projects/ulm-01"' in asked


def test_a_projects_page_says_why_pushed_edits_have_no_effect(reader: FakeReader, get: Get) -> None:
    told = [condition("SourceRewritten", f"node {name}: main was rewritten") for name in ("a", "b")]
    reader.now = replace(reader.now, conditions=(*told, condition("NodeUnknown", "nodes/x.yaml")))
    html = get("/projects/ulm-01").text
    assert html.count("main was rewritten") == 1
    assert "nodes/x.yaml" not in html


def test_stage_states_are_said_in_words(get: Get) -> None:
    table = section(get("/").text, "projects")

    assert "<b>detect</b> RUNNING" in table
    assert "<b>detect</b> FAILED" in table
    assert "<b>stabilise</b> SUCCEEDED" in table


def test_the_filter_works_without_a_script(get: Get) -> None:
    rows = re.findall(r'<tr id="project-([^"]+)"[^>]*?( hidden)?>', get("/?filter=HIGHWAY").text)

    assert [name for name, hidden in rows if not hidden] == ["a8-north"]


def test_a_filter_without_matches_says_so(get: Get) -> None:
    assert '<p class="calm" id="no-match">No project matches' in get("/?filter=nowhere").text


def test_a_site_without_projects_says_what_to_do(reader: FakeReader, get: Get) -> None:
    reader.now = Status(projects=(), nodes=())

    html = get("/").text

    assert "Nothing waits for you" in html
    assert "add a file below" in html
    assert "No node has reported yet" in get("/nodes").text


def test_a_project_shows_stages_conditions_runs_and_the_running_log(reader: FakeReader, get: Get) -> None:
    reader.write("frame 12 of 48000")

    html = get("/projects/ulm-07").text

    assert html.count('<li class="done" id="stage-stabilise">') == 1
    assert "EnvironmentChanged" in html
    assert html.index("/projects/ulm-07/runs/3") < html.index('id="run-3"') < html.index('id="run-1"')
    assert "gpu-3 went silent" in html
    assert "frame 12 of 48000" in html
    assert 'data-log="/projects/ulm-07/runs/3/log"' in html


def test_a_run_shows_how_it_was_started(get: Get) -> None:
    html = get("/projects/b10-bridge/runs/2").text

    for fact in (
        "OutOfMemory",
        "killed at its limit",
        "137",
        "sha256:4b1fd2",
        "9f2c41d07be",
        "1/workspace",
        "THRESHOLD",
    ):
        assert fact in html


def test_a_run_shows_whose_files_it_began_from(reader: FakeReader, get: Get) -> None:
    ulm = reader.now.projects[0]
    first, second, last = ulm.runs
    last = replace(last, base=RunNumber(1), inputs=("/data/ulm-07.mp4",))
    reader.now = replace(reader.now, projects=(replace(ulm, runs=(first, second, last)),))

    began = section(get("/projects/ulm-07/runs/3").text, "facts")

    assert re.search(r'run 1 \(<a [^>]*href="/projects/ulm-07/runs/1">0001-stabilise</a>\)', began)
    assert "/data/ulm-07.mp4" in began
    assert "the project's initial files" in get("/projects/ulm-07/runs/1").text
    assert section(get("/projects/ulm-07").text, "runs").count(">from 1<") == 1


def test_a_succeeded_run_shows_its_results_images_and_files(reader: FakeReader, get: Get) -> None:
    reader.files = {"plots/speed curve.png": b"png", "tracks.csv": b"a,b"}

    html = get("/projects/ulm-01/runs/4").text

    assert "1834" in html
    assert '<img src="/projects/ulm-01/runs/4/output/plots/speed%20curve.png"' in html
    assert '<a href="/projects/ulm-01/runs/4/output/tracks.csv">tracks.csv</a>' in html


def test_an_unreadable_log_is_a_sentence_in_its_place(reader: FakeReader, get: Get) -> None:
    get("/")
    reader.log = lambda *_, **__: (_ for _ in ()).throw(BadInput("the log was removed after 7 days"))  # type: ignore[method-assign]

    page = get("/projects/ulm-01/runs/4")

    assert page.status_code == 200
    assert "the log was removed after 7 days" in page.text


def test_nodes_show_silence_drain_and_what_runs(get: Get) -> None:
    html = get("/nodes").text

    assert "Silent for 6 h 24 min" in html
    assert "Drained" in html
    assert '<a href="/projects/ulm-07/runs/3">ulm-07/0003-detect</a>' in html
    assert "/var/lib/winslow is 97 % full" in html


def test_a_node_read_from_git_alone_is_not_called_dead(reader: FakeReader, get: Get) -> None:
    reader.now = replace(reader.now, nodes=(replace(reader.now.nodes[0], live=None, silent_for=None),))

    html = get("/nodes").text

    assert "Not known" in html
    assert "Silent" not in html


def test_the_api_gives_the_status_as_every_reader_sees_it(reader: FakeReader, get: Get) -> None:
    answer = get("/api/status")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(dump_status(reader.now)))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/projects/nope", "There is no project nope."),
        ("/projects/ulm-07/runs/99", "Project ulm-07 has no run 99."),
        ("/projects/ulm-07/runs/99/log", "project ulm-07 has no run 99"),
        ("/elsewhere", "There is no such page."),
        ("/static/secret", "There is no file secret here."),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(get: Get, path: str, says: str) -> None:
    page = get(path)

    assert page.status_code == 404
    assert says in page.text
    assert '<a href="/projects/ulm-01">Ulm crossing, flight 01</a>' in page.text


def test_a_fragment_is_the_main_part_alone(get: Get) -> None:
    html = get("/", x_fragment="main").text

    assert html.lstrip().startswith("<main")
    assert "<head>" not in html


def test_a_log_the_browser_holds_is_not_sent_again(reader: FakeReader, get: Get) -> None:
    reader.write("a line")

    html = get("/projects/ulm-07", x_fragment="log-3").text

    assert "a line" not in html
    assert '<section class="log" id="log-3" data-keep></section>' in html


def test_an_unchanged_page_is_304_and_a_changed_one_is_not(reader: FakeReader, get: Get) -> None:
    etag = get("/nodes").headers["etag"]

    assert get("/nodes", if_none_match=etag).status_code == 304
    assert get("/nodes", if_none_match=etag).content == b""
    assert get("/", if_none_match=etag).status_code == 200
