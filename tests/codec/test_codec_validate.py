# ruff: noqa: E501 - a table with one fault a line
import re

import pytest

from reconciler.codec.desired import validate_file

STAGE = "stages:\n  - name: a\n    image: x\n"

BROKEN = [
    ("pipelines/p.yaml", "name: x\n", "1:1: the field 'stages' is missing; write for example stages: [{name: detect,"),
    ("pipelines/p.yaml", "", "1:1: the field 'stages' is missing; write for example"),
    ("pipelines/p.yaml", "[a]", "1:1: the file must be a mapping of 'name: value' lines, not a list"),
    ("pipelines/p.yaml", "stages: []\n", "1:9: stages must hold at least one entry"),
    ("pipelines/p.yaml", STAGE + "    comand: [x]\n", "4:5: unknown field 'comand'; did you mean 'command'?"),
    ("pipelines/p.yaml", STAGE + "    command: run x\n", "4:14: command must be a list such as [python, /app/detect.py], not 'run x'"),
    ("pipelines/p.yaml", STAGE + "    command: [run, 5]\n", "4:20: entry 2 of command must be text, not 5; write \"5\" in quotes"),
    ("pipelines/p.yaml", STAGE + "    confirm: befor\n", "4:14: confirm must be never, before or once, not 'befor'; did you mean 'before'?"),
    ("pipelines/p.yaml", STAGE + "    network: no\n", "4:14: network must be none or bridge, not 'no'"),
    ("pipelines/p.yaml", STAGE + "    timeout: 36\n", "4:14: timeout must be a duration above zero with units, such as 90s, 1m30s or 36h, not 36"),
    ("pipelines/p.yaml", STAGE + "    requires: {cpus: .nan}\n", "4:22: requires.cpus must be a number from 0.01 to 4096, not .nan"),
    ("pipelines/p.yaml", STAGE + "    requires: {cpus: true}\n", "4:22: requires.cpus must be a number from 0.01 to 4096, not true"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: {count: 1.0}}\n", "4:30: gpus.count must be a whole number from 0 to 64, not 1.0"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: {memory: 8GiB}}\n", "4:22: the field 'count' is missing in requires.gpus; write for example count: 1"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: 2x}\n", "4:22: requires.gpus must be a whole number from 0 to 64, or a mapping such as {count: 1, memory: 8GiB}, not '2x'"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: '2'}\n", "4:22: requires.gpus must be a whole number from 0 to 64, or a mapping such as {count: 1, memory: 8GiB}, not '2'; write 2 without quotes"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: true}\n", "4:22: requires.gpus must be a whole number from 0 to 64, or a mapping such as {count: 1, memory: 8GiB}, not true"),
    ("pipelines/p.yaml", STAGE + "    requires: {cpus: '0.5'}\n", "4:22: requires.cpus must be a number from 0.01 to 4096, not '0.5'; write 0.5 without quotes"),
    ("pipelines/p.yaml", STAGE + "    requires: {memory: 16}\n", "4:24: requires.memory must be a size above zero with its unit, such as 512MiB or 8GiB, not 16; did you mean 16GB or 16GiB?"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: {count: 1, share: true}}\n", "4:40: share: true needs the memory that the stage takes of each GPU"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: {count: 0, model: A100, share: true}}\n", "4:40: requires.gpus asks for model: A100, share: true but for 0 GPUs (count: 0): write count: 1"),
    ("pipelines/p.yaml", STAGE + "    requires: {gpus: {count: 1, vendor: amd, capability: '8.6'}}\n", "4:58: gpus.capability is CUDA's: no AMD GPU has one; leave it out or write vendor: nvidia"),
    ("pipelines/p.yaml", STAGE + "    requires: {labels: {room: 2}}\n", '4:31: labels.room must be text, not 2; write "2" in quotes'),
    ("pipelines/p.yaml", STAGE + "    requires_environment: [A, A]\n", "4:31: entry 2 of requires_environment stands there twice; keep one"),
    ("pipelines/p.yaml", STAGE + "    environment: {A: yes, B: 5}\n", "4:30: environment.B must be text, null or {secret: name}; put it in quotes"),
    ("pipelines/p.yaml", STAGE + "    environment: {A: {secrets: x}}\n", "4:22: the field 'secret' is missing in environment.A"),
    ("pipelines/p.yaml", STAGE + "    environment: {WINSLOW_RUN: x}\n", "4:19: the name 'WINSLOW_RUN' in environment belongs to Winslow itself; choose another name"),
    ("pipelines/p.yaml", STAGE + "    environment: {NVIDIA_VISIBLE_DEVICES: all}\n", "4:19: the name 'NVIDIA_VISIBLE_DEVICES' in environment chooses GPUs, and Winslow alone does that: leave it out, and write how many"),
    ("pipelines/p.yaml", STAGE + "    environment: {CUDA_VISIBLE_DEVICES: {secret: gpus}}\n", "4:19: the name 'CUDA_VISIBLE_DEVICES' in environment chooses GPUs"),
    ("pipelines/p.yaml", STAGE + "    environment: {CUDA_DEVICE_ORDER: null}\n", "4:19: the name 'CUDA_DEVICE_ORDER' in environment chooses GPUs"),
    ("pipelines/p.yaml", STAGE + "    requires_environment: [NVIDIA_DRIVER_CAPABILITIES]\n", "4:28: the name 'NVIDIA_DRIVER_CAPABILITIES' in requires_environment chooses GPUs"),
    ("pipelines/p.yaml", STAGE + "    requires_environment: [A-B]\n", "4:28: the name 'A-B' in requires_environment must be a variable's name"),
    ("projects/u.yaml", "environment: {HIP_VISIBLE_DEVICES: '0'}\n", "1:15: the name 'HIP_VISIBLE_DEVICES' in environment chooses GPUs"),
    ("projects/u.yaml", "next: {stage: a, environment: {ROCR_VISIBLE_DEVICES: '0'}}\n", "1:32: the name 'ROCR_VISIBLE_DEVICES' in next.environment chooses GPUs"),
    ("projects/_defaults.yaml", "environment: {AMD_VISIBLE_DEVICES: all}\n", "1:15: the name 'AMD_VISIBLE_DEVICES' in environment chooses GPUs"),
    ("winslow.yaml", "version: 1\nenvironment: {NVIDIA_VISIBLE_DEVICES: all}\n", "2:15: the name 'NVIDIA_VISIBLE_DEVICES' in environment chooses GPUs"),
    ("pipelines/p.yaml", STAGE + "    environment: {A-B: x}\n", "4:19: the name 'A-B' in environment must be a variable's name"),
    ("pipelines/p.yaml", STAGE + "    retries: {exit_codes: [0]}\n", "4:28: entry 1 of retries.exit_codes must be a whole number from 1 to 255, not 0"),
    ("pipelines/p.yaml", STAGE + "  - name: a\n    image: x\n", "4:11: the stage 'a' stands here twice, first in line 2; give one another name"),
    ("pipelines/p.yaml", "stages:\n  - name: a\n", "2:5: stage 'a' has nothing to run; write its image, or process: {command: [...]}"),
    ("pipelines/p.yaml", "stages: [{name: ../x, image: x}]\n", "1:17: name must be a name of letters, digits, - and _ that begins with"),
    ("pipelines/p.yaml", 'stages: [{name: "a\\n", image: x}]\n', "1:17: name must be a name of letters"),
    ("pipelines/p.yaml", f"stages: [{{name: {'a' * 41}, image: x}}]\n", "1:17: name must be a name of letters"),
    ("pipelines/p.yaml", "a: 1\na: 2\n", "2:1: the key 'a' stands here twice, first in 1:1; keep one"),
    ("projects/u.yaml", "paused: no\n", "1:9: paused must be true or false, not 'no'"),
    ("projects/u.yaml", "next:\n", "1:6: next must be a mapping of 'name: value' lines, not nothing (null)"),
    ("projects/u.yaml", "next: {after: 3}\n", "1:7: the field 'stage' is missing in next; write for example stage: detect"),
    ("projects/u.yaml", "next: {stage: a, after: 0}\n", "1:25: next.after must be a whole number from 1 to 99999999, not 0"),
    ("projects/u.yaml", "next: {stage: a, then: stop}\n", "1:24: next.then must be continue or pause, not 'stop'"),
    ("projects/u.yaml", "abort: true\n", "1:8: abort must be a whole number from 1 to 99999999, not true"),
    ("projects/u.yaml", "stages: {a/b: {}}\n", "1:10: the name 'a/b' in stages must be a name of letters"),
    ("projects/u.yaml", "stages: {a: {image: x}}\n", "1:14: unknown field 'image'; known here: environment, requires, timeout"),
    ("projects/u.yaml", "inputs: [resources/a, /etc/passwd]\n", "1:23: input '/etc/passwd' is absolute; write it relative"),
    ("projects/u.yaml", "inputs: [resources/../x]\n", "1:10: input 'resources/../x' holds '..'"),
    ("projects/u.yaml", "inputs: [videos/a.mp4]\n", "1:10: input 'videos/a.mp4' does not begin with resources/ or input/"),
    ("projects/u.yaml", "inputs: [resources/]\n", "1:10: input 'resources/' does not begin with"),
    ("projects/u.yaml", "inputs: [input//a]\n", "1:10: input 'input//a' holds an empty part"),
    ("projects/u.yaml", "tags: [a, a]\n", "1:11: entry 2 of tags stands there twice; keep one"),
    ("projects/_defaults.yaml", "paused: true\n", "1:1: unknown field 'paused'; known here: pipeline, tags, environment"),
    ("nodes/n.yaml", "drained: 1\n", "1:10: drained must be true or false, not 1"),
    ("nodes/n.yaml", "hand_over: true\n", "1:12: hand_over says how a node is drained; write drained: true as well"),
    ("nodes/n.yaml", "drained: false\nhand_over: true\n", "2:12: hand_over says how a node is drained"),
    ("pipelines/p.yaml", "stages: [{name: a, image: x, ttl: 5}]\n", "1:35: ttl must be a duration above zero with units"),
    ("winslow.yaml", "environment: {}\n", "1:1: the field 'version' is missing; write for example version: 1"),
    ("winslow.yaml", "version: 1\nlimits: {tags: {student: {}}}\n", "2:26: limits.tags.student is empty; write at least one of gpus, cpus, memory, stages"),
    ("winslow.yaml", "version: 1\nlimits: {tags: {student: {gpus: -1}}}\n", "2:33: limits.tags.student.gpus must be a whole number from 0 to 100000, not -1"),
    ("winslow.yaml", "version: 1\nlimits: {projects: {ulm: 2}}\n", "2:26: limits.projects.ulm must be a mapping such as {gpus: 2}, not 2"),
    ("winslow.yaml", "version: 2\n", "1:10: version must be 1, not 2; another version needs another Winslow"),
    ("winslow.yaml", "version: 1\nttl: 10s\n", "2:6: ttl must be at least three heartbeats, or nodes that live are taken for dead"),
    ("winslow.yaml", "version: 1\nforge: {kind: gitlab, url: 'http://g/x/'}\n", "2:28: forge.url must be the repository's web page"),
    ("projects/a.b.yaml", "pipeline: x\n", "1:1: 'a.b' can't name a project; name the file with letters, digits, - and _"),
    ("projects/-a.yaml", "pipeline: x\n", "1:1: '-a' can't name a project"),
    ("projects/a\n.yaml", "pipeline: x\n", "1:1: 'a\\n' can't name a project"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text", "fault"), BROKEN)
def test_a_fault_is_told_with_its_place_and_what_to_write(path: str, text: str, fault: str) -> None:
    told = [str(problem).removeprefix(f"{path}:") for problem in validate_file(path, text.encode())]
    assert any(line.startswith(fault) for line in told), told


def test_all_faults_of_a_file_are_told_in_reading_order() -> None:
    text = "nam: x\npaused: no\nabort: x\npriority: 1.5\n"
    assert [problem.line for problem in validate_file("projects/u.yaml", text.encode())] == [1, 2, 3, 4]


def test_no_more_than_twenty_faults_of_a_file_are_told() -> None:
    problems = validate_file("projects/u.yaml", "".join(f"field{n}: x\n" for n in range(50)).encode())
    assert len(problems) == 20
    assert problems[-1].message.endswith("(and 30 more in this file)")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("projects/u.yaml", "environment: {PASSWORD: 731849}"),
        ("projects/u.yaml", "environment: {PASSWORD: {secret: '731849 !'}}"),
        ("projects/u.yaml", "environment: {PASSWORD: [731849]}"),
        ("projects/u.yaml", "next: {stage: a, environment: {PASSWORD: 731849}}"),
        ("winslow.yaml", "version: 1\nforge: {kind: gitlab, url: 'https://me:731849@git.example/x'}"),
    ],
)
def test_what_may_be_a_secret_is_never_repeated(path: str, text: str) -> None:
    problems = validate_file(path, text.encode())
    assert problems
    assert "731849" not in "".join(map(str, problems))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("pipeline/p.yaml", "the folder pipeline/ is not read; did you mean 'pipelines'?"),
        ("projects/u.yml", "only with the ending .yaml"),
        ("pipelines/old/p.yaml", "files lie directly in pipelines/"),
        ("winslow.yml", "did you mean 'winslow.yaml'?"),
    ],
)
def test_a_file_that_nobody_reads_is_a_warning(path: str, words: str) -> None:
    (problem,) = validate_file(path, b"")
    assert str(problem).startswith(f"{path}:1:1: warning: nobody reads this file: ")
    assert words in problem.message


@pytest.mark.parametrize("path", ["README.md", "projects/README.md", ".gitlab-ci.yml", ".github/workflows/x.yml"])
def test_files_that_are_none_of_ours_are_ignored(path: str) -> None:
    assert validate_file(path, b"\xff") == ()


def test_no_message_is_in_the_validators_own_words() -> None:
    told = " ".join(str(problem) for path, text, _ in BROKEN for problem in validate_file(path, text.encode()))
    assert not re.search(r"is not of type|required property|does not match|were unexpected|\{'", told)
