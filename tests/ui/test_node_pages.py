"""What a node's devices do, what is measured there, and why a project does not start on it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import pytest

from readonly_ui.machines import gpus_in_words
from reconciler.core.measurements import RUN, Series
from reconciler.core.names import NodeName
from reconciler.core.status import DeviceStatus
from reconciler.errors import ShareUnavailable
from tests.ui.evening_nodes import GIB, device, measured, node, uuid

if TYPE_CHECKING:
    from tests.ui.conftest import FakeReader, Get


def words(html: str) -> str:
    """What stands there, without its elements."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def row(html: str, name: str, index: int) -> str:
    return words(html.split(f'<tr id="gpu-{name}-{index}"')[1].split("</tr>", maxsplit=1)[0].split(">", 1)[1])


def test_each_gpu_is_free_in_use_faulty_or_somebody_elses(get: Get) -> None:
    html = get("/nodes").text

    assert row(html, "gpu-1", 0) == "0 NVIDIA RTX A6000 48 GiB In use ulm-07/0003-detect"
    assert row(html, "gpu-1", 1) == "1 NVIDIA RTX A6000 48 GiB Free"
    assert row(html, "gpu-1", 2).endswith("Faulty has fallen off the bus; the machine needs a restart")
    assert row(html, "gpu-1", 3).endswith("Used outside Winslow python train.py (pid 4711)")
    assert '<a href="/projects/ulm-07/runs/3">ulm-07/0003-detect</a>' in html.split('id="gpu-gpu-1-0"')[1]


def test_of_a_silent_node_nobody_knows_what_is_free(get: Get) -> None:
    assert row(get("/nodes").text, "gpu-3", 0).endswith("Not known")


def test_a_fault_is_told_before_who_holds_the_device(reader: FakeReader, get: Get) -> None:
    broken = device(0, holder="ulm-07/0003-detect", fault="lost")
    reader.now = replace(reader.now, nodes=(node("gpu-1", devices=(broken,)),))

    assert row(get("/nodes").text, "gpu-1", 0).endswith("Faulty ulm-07/0003-detect lost")


def test_a_shared_gpu_names_all_who_share_it(reader: FakeReader, get: Get) -> None:
    shared = device(0, holder="ulm-07/0003-detect, a8-north/0001-stabilise")
    reader.now = replace(reader.now, nodes=(node("gpu-1", devices=(shared,)),))

    assert row(get("/nodes").text, "gpu-1", 0).endswith("Shared ulm-07/0003-detect a8-north/0001-stabilise")


def test_what_claims_reserve_is_said_of_what_there_is(get: Get) -> None:
    told = words(get("/nodes").text.split('id="node-gpu-1"')[1].split("</dl>")[0])

    assert "CPUs 8 of 32 reserved" in told
    assert "Memory 24 of 120 GiB reserved" in told


def test_a_nodes_troubles_stand_above_everything_else(get: Get) -> None:
    card = get("/nodes").text.split('id="node-gpu-2"')[1].split("</article>")[0]

    assert card.index("DiskPressure") < card.index("Running now")


def test_the_machine_itself_is_folded_away(get: Get) -> None:
    html = get("/nodes").text.split('<details id="inventory-gpu-1">')[1].split("</details>")[0]

    for fact in (
        "AMD EPYC 7302 16-Core Processor, 32 cores",
        "128 GiB, swap 8.0 GiB",
        "/var/lib/docker 1.8 TiB (xfs)",
        "enp65s0 10 Gbit/s",
        "docker 27.3.1",
        "nvidia 550.54.14",
        uuid(0),
        "capability 8.6",
    ):
        assert fact in words(html)


def test_a_node_has_a_page_of_its_own_with_charts(reader: FakeReader, get: Get) -> None:
    reader.measured = measured()

    html = get("/nodes/gpu-1").text

    captions = [words(one) for one in re.findall(r"<figcaption>(.*?)</figcaption>", html, re.S)]
    titles = [caption.split(" ")[0] for caption in captions]
    assert titles == ["CPU", "Memory", "Network", "Disk"] + 2 * ["Use", "Memory", "Temperature", "Power"]
    assert re.fullmatch(r"CPU \d+ % peak \d+ %", captions[0])
    assert "GPU 0 · NVIDIA RTX A6000" in html
    assert html.index("GPU 0 ·") < html.index("GPU 1 ·")


def test_every_chart_is_small_and_has_words_for_who_does_not_see_it(reader: FakeReader, get: Get) -> None:
    reader.measured = measured()

    charts = re.findall(r"<svg.*?</svg>", get("/nodes/gpu-1").text, re.S)

    assert len(charts) == 12
    assert max(map(len, charts)) < 10_000
    for one in charts:
        named = re.search(r'aria-labelledby="(\S+) (\S+)"', one)
        assert named is not None
        assert f'<title id="{named[1]}">' in one
        assert f'<desc id="{named[2]}">' in one
        assert " at most " in one


def test_ids_on_a_page_with_many_charts_are_there_once(reader: FakeReader, get: Get) -> None:
    reader.measured = measured()

    ids = re.findall(r'\bid="([^"]+)"', get("/nodes/gpu-1").text)

    assert len(ids) == len(set(ids))


def test_swap_is_drawn_only_where_some_is_used(reader: FakeReader, get: Get) -> None:
    reader.measured = measured()
    assert "swap <b>" not in get("/nodes/gpu-1").text
    columns = {**reader.measured.columns, "swap": (float(GIB),) * len(reader.measured.times)}
    reader.measured = replace(reader.measured, columns=columns)
    assert "swap <b>1.0 GiB</b>" in get("/nodes/gpu-1").text


@pytest.mark.parametrize("span", ["hour", "day", "month"])
def test_one_can_look_further_back(reader: FakeReader, get: Get, span: str) -> None:
    asked = []
    reader.node_series = lambda node, since: asked.append((node, since)) or Series()  # type: ignore[method-assign,func-returns-value]

    html = get(f"/nodes/gpu-1?span={span}").text

    assert f'<a href="?span={span}" aria-current="page">Last {span}</a>' in html
    assert f"Nothing was measured in the last {span}" in html
    assert [name for name, _ in asked] == ["gpu-1"]


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/nodes/gpu-9", 404, "There is no node gpu-9."),
        ("/nodes/gpu-1?span=year", 400, "span must be hour, day, month, for example ?span=day."),
    ],
)
def test_what_is_not_there_is_refused_in_words(get: Get, path: str, code: int, says: str) -> None:
    page = get(path)

    assert (page.status_code, says in page.text) == (code, True)


def test_measurements_that_can_not_be_read_cost_the_charts_alone(reader: FakeReader, get: Get) -> None:
    get("/nodes")
    reader.node_series = lambda *_: (_ for _ in ()).throw(ShareUnavailable("/mnt/share hangs"))  # type: ignore[method-assign]

    page = get("/nodes/gpu-1")

    assert page.status_code == 200
    assert "/mnt/share hangs" in page.text
    assert "NVIDIA RTX A6000" in page.text


def test_only_pages_with_charts_read_measurements(reader: FakeReader, get: Get) -> None:
    """The overview stays as fast as it was."""
    reader.node_series = reader.run_series = lambda *_: pytest.fail("read")  # type: ignore[method-assign,assignment]

    for path in ("/", "/nodes", "/projects/ulm-07", "/api/status"):
        assert get(path).status_code == 200


def test_a_run_is_drawn_from_its_start_with_the_gpus_it_holds(reader: FakeReader, get: Get) -> None:
    reader.measured = measured(gpus=(0,), columns=RUN)

    html = get("/projects/ulm-07/runs/3").text

    assert "GPU NVIDIA RTX A6000" in words(html)
    assert f"<code>{uuid(0)}</code>" in html
    assert re.search(r'<text class="moment first" x="0.0" y="\d+">start</text>', html)


def test_a_run_says_what_it_used_of_what_it_asked_for(get: Get) -> None:
    html = get("/projects/ulm-01/runs/2").text

    used = words(html.split('id="used"')[1].split("</dl>")[0])
    for fact in (
        "Peak memory 3.1 of 16 GiB",
        "CPU 6.2 cpu-hours 4.1 of 8 cpus on average",
        "GPU 1.5 GPU-hours",
        "GPU use 62 % on average peak 98 %",
        "Peak GPU memory 11 GiB",
        "Disk 410 GiB read, 2.0 GiB written",
    ):
        assert fact in used
    assert "Network" not in used


def test_a_run_says_all_that_repeating_it_takes(get: Get) -> None:
    html = get("/projects/ulm-01/runs/2").text

    assert '<pre id="reproduce" tabindex="0"><code>winslow reproduce ulm-01 2</code></pre>' in html
    for fact in (
        "8 cpus, 16 GiB memory, 1 nvidia GPU with 16 GiB",
        f"NVIDIA RTX A6000 {uuid(0)} driver 550.54.14",
        "python /app/detect.py --model 'yolo v8'",
        "docker 27.3.1, kernel 6.1.0-27-amd64, winslow 0.1.0",
        "resources/ulm/flight-07.mp4 7.0 GiB 5e5e5e5e5e5e5e5e…",
    ):
        assert fact in words(html)


def test_a_run_that_goes_on_is_not_yet_to_be_repeated(get: Get) -> None:
    assert "winslow reproduce" not in get("/projects/ulm-07/runs/3").text


def test_a_reused_run_says_whose_files_it_has(reader: FakeReader, get: Get) -> None:
    ulm = next(one for one in reader.now.projects if one.project == "ulm-01")
    *others, last = ulm.runs
    reader.now = replace(reader.now, projects=(replace(ulm, runs=(*others, replace(last, reused=others[1].run))),))

    html = words(get("/projects/ulm-01/runs/4").text)

    assert "Reused run 2 (" in html
    assert "nothing ran, since its inputs, image, command and environment are the same" in html
    assert "Took \N{EN DASH} Attempts" in html
    assert "of run 2, whose files this run took" in html


def test_in_the_table_of_runs_a_reused_run_does_not_look_as_if_it_had_run(reader: FakeReader, get: Get) -> None:
    ulm = next(one for one in reader.now.projects if one.project == "ulm-01")
    *others, last = ulm.runs
    reader.now = replace(reader.now, projects=(replace(ulm, runs=(*others, replace(last, reused=others[1].run))),))

    row = get("/projects/ulm-01").text.split('<tr id="run-4">')[1].split("</tr>")[0]

    assert "reused run 2" in words(row)
    duration = row.split('data-label="Duration" class="number">')[1].split("</td>")[0]
    assert words(duration) == "\N{EN DASH}"


def test_a_project_that_waits_shows_each_nodes_answer_the_best_first(reader: FakeReader, get: Get) -> None:
    ulm = next(one for one in reader.now.projects if one.project == "ulm-08")
    said = {"a": "drained", "b": "rank 10", "c": "rank 2", "d": "gives no sign of life"}
    waits = replace(ulm, nodes={NodeName(name): why for name, why in said.items()})
    reader.now = replace(reader.now, projects=(waits,))

    table = get("/projects/ulm-08").text.split('aria-label="Each node\'s answer"')[1].split("</table>")[0]

    assert words(table.split("<tbody>")[1]) == "c third choice b 11th choice a drained d gives no sign of life"


def test_many_answers_are_folded(reader: FakeReader, get: Get) -> None:
    ulm = next(one for one in reader.now.projects if one.project == "ulm-08")
    waits = replace(ulm, nodes={NodeName(f"n{number}"): "drained" for number in range(9)})
    reader.now = replace(reader.now, projects=(waits,))

    assert '<details id="answers-of-nodes">' in get("/projects/ulm-08").text


@pytest.mark.parametrize(
    ("devices", "live", "said"),
    [
        ((), True, ""),
        ((device(0), device(1, holder="x/1-y"), device(2, fault="lost")), True, "1 of 3 GPUs free, 1 faulty"),
        ((device(0),), True, "1 of 1 GPU free"),
        ((device(0), device(1)), False, "2 GPUs"),
    ],
)
def test_gpus_in_words(devices: tuple[DeviceStatus, ...], live: bool, said: str) -> None:
    assert gpus_in_words(node("a", gpus=(), devices=devices, live=live)) == said
