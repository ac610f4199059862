from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.codec.config import load_config
from reconciler.config import DockerConfig, NodeConfig, ProcessConfig, Reserve
from reconciler.errors import BadInput

WHOLE = """\
version: 1
name: lab-1
state: {url: ../state.git, branch: trunk, observed: seen}
share: share
local: ~/winslow
runtime: process
poll: 5s
labels: {room: lab-2}
listen: 127.0.0.1:9464
advertise: lab-2.example:9464
hook_token_file: token
secrets_dir: /etc/winslow/secrets
reserve: {cpus: 1, memory: 2GiB, disk: 10GiB, gpus: [GPU-5c1a07d2]}
docker: {user: "1000:1000", host: "unix:///var/run/docker.sock", shm_size: 1GiB, stop_grace: 5s}
process: {environment: {CUDA_HOME: /opt/cuda}, stop_grace: 0s}
"""


def test_a_whole_configuration_is_read_with_paths_from_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/node.yaml").write_text(WHOLE)
    assert load_config(tmp_path / "etc/node.yaml") == NodeConfig(
        name="lab-1",  # type: ignore[arg-type]
        state_url=str(tmp_path / "state.git"),
        branch="trunk",
        observed_branch="seen",
        share=tmp_path / "etc/share",
        local=Path("/home/somebody/winslow"),
        runtime="process",
        poll=timedelta(seconds=5),
        labels={"room": "lab-2"},
        listen="127.0.0.1:9464",
        advertise="lab-2.example:9464",
        hook_token_file=tmp_path / "etc/token",
        secrets_dir=Path("/etc/winslow/secrets"),
        reserve=Reserve(cpus=1.0, memory=2 << 30, disk=10 << 30, gpus=("GPU-5c1a07d2",)),
        docker=DockerConfig(
            user="1000:1000", host="unix:///var/run/docker.sock", shm_size=1 << 30, stop_grace=timedelta(seconds=5)
        ),
        process=ProcessConfig(environment={"CUDA_HOME": "/opt/cuda"}, stop_grace=timedelta(0)),
    )


@pytest.mark.parametrize("url", ["https://git.example/a.git", "git@git.example:lab/a.git", "/srv/a.git", "file:///a"])
def test_what_git_takes_for_a_url_stays_as_it_is(tmp_path: Path, url: str) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(f"version: 1\nname: a\nstate: {{url: '{url}'}}\nshare: /mnt\n")
    config = load_config(path)
    assert config == NodeConfig(name=config.name, state_url=url, share=Path("/mnt")), "everything else is as usual"


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text("version: 1\nname: a b\nstate: {ur: x}\nshare: /mnt\npoll: 5\nlisten: 80\n")
    with pytest.raises(BadInput) as caught:
        load_config(path)
    lines = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert [line.split(" ")[0] for line in lines] == ["2:7:", "3:8:", "3:9:", "5:7:", "6:9:"]
    assert lines[2] == "3:9: unknown field 'ur'; did you mean 'url'?"


def test_a_variable_that_chooses_gpus_is_refused(tmp_path: Path) -> None:
    """It would give every stage of the node the same ones."""
    path = tmp_path / "node.yaml"
    lines = ("version: 1", "name: a", "state: {url: /s}", "share: /w", "process:")
    path.write_text("\n".join([*lines, "  environment:", "    CUDA_VISIBLE_DEVICES: '0'", ""]))
    with pytest.raises(BadInput) as caught:
        load_config(path)
    assert str(caught.value) == (
        f"{path}:7:5: the name 'CUDA_VISIBLE_DEVICES' in process.environment chooses GPUs, and Winslow alone does "
        "that: leave it out, and write how many the stage needs in requires.gpus"
    )


@pytest.mark.parametrize("gpus", ["2", "[0]", '["0"]', "[GPU-]", '["GPU-5c1a07d2, GPU-00"]', "[all]"])
def test_reserved_gpus_are_named_by_uuid_alone(tmp_path: Path, gpus: str) -> None:
    """Numbers change with every card that is put in; the wrong GPU would be given away."""
    path = tmp_path / "node.yaml"
    path.write_text(f"version: 1\nname: a\nstate: {{url: /srv/a.git}}\nshare: /mnt\nreserve: {{gpus: {gpus}}}\n")
    with pytest.raises(BadInput) as refused:
        load_config(path)
    assert str(refused.value).startswith(f"{path}:5:")
    assert "GPU" in str(refused.value) or "list" in str(refused.value)


def test_a_missing_file_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no .*node\.yaml; write one with version: 1, name, state"):
        load_config(tmp_path / "node.yaml")


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="can't be read: Is a directory"):
        load_config(tmp_path)
