"""From samples to the sum in a run's record."""

from math import isnan

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.records import Resources
from reconciler.core.usage import GpuReading, Load, Tally, Use, load_row, resources, tally, tally_of, use_row

numbers = st.none() | st.floats(min_value=0, max_value=1e15)
tallies = st.builds(Tally, cpu=numbers, peak_memory=numbers, gpu_used=numbers, gpu_watched=numbers, peak_gpu=numbers)


def gpu(uuid: str, utilisation: float | None, memory: int | None = None) -> GpuReading:
    return GpuReading(uuid=uuid, utilisation=utilisation, memory=memory)


def test_a_run_is_summed_up() -> None:
    """Two GPUs, one idle, for an hour and a half: what was held counts, and what was used."""
    used = Tally()
    for second in range(0, 10, 2):
        use = Use(cpu=7200.0 + second, memory=100 - second, read=1000, written=0)
        used = used.merged(tally(use, [gpu("a", 1.0, 50), gpu("b", 0.0, 70)], 2.0 if second else None))
    assert resources(used, held=5400.0, gpus=2) == Resources(
        peak_memory=100,
        cpu_hours=7208 / 3600,
        read=1000,
        written=0,
        gpu_hours=3.0,
        mean_gpu=0.5,
        peak_gpu=1.0,
        peak_gpu_memory=70,
    )


def test_what_was_never_sampled_is_unknown_and_not_zero() -> None:
    assert resources(Tally(), held=1.0, gpus=0) == Resources(gpu_hours=0.0)
    assert resources(Tally(), held=None, gpus=1) == Resources()


def test_one_look_at_a_gpu_is_a_peak_but_no_mean() -> None:
    found = resources(tally(Use(), [gpu("a", 0.75)], None), held=1.0, gpus=1)
    assert (found.peak_gpu, found.mean_gpu) == (0.75, None)


def test_time_in_which_nobody_looked_does_not_count_for_the_mean() -> None:
    """The reconciler was down for an hour: what the GPU did then nobody knows."""
    used = tally(Use(), [gpu("a", 1.0)], 2.0).merged(tally(Use(), [gpu("a", 0.0)], 3600.0))
    assert resources(used, held=3604.0, gpus=1).mean_gpu == 1.0


def test_a_restart_in_the_middle_changes_nothing_but_the_gap() -> None:
    first = tally(Use(cpu=10.0, memory=500), [gpu("a", 0.5)], 2.0)
    second = tally(Use(cpu=30.0, memory=200), [gpu("a", 0.25)], 2.0)
    found = resources(tally_of(first.noted()).merged(second), held=100.0, gpus=1)
    assert (found.cpu_hours, found.peak_memory, found.mean_gpu) == (30 / 3600, 500, 0.375)


@given(tallies)
def test_a_tally_survives_being_noted(used: Tally) -> None:
    assert tally_of(used.noted()) == used
    assert used.merged(Tally()) == Tally().merged(used) == used


def test_a_note_of_something_else_is_left_out() -> None:
    assert tally_of({"cpu": 1.0, "colour": 3.0}) == Tally(cpu=1.0)


def test_counters_become_rates() -> None:
    before = Use(cpu=10.0, memory=1, read=1000, written=5)
    row = use_row(before, Use(cpu=15.0, memory=2, read=3000, written=4), 2.0, [gpu("a", 0.5)])
    assert (row["cpu"], row["memory"], row["read"], row["gpu_utilisation:a"]) == (2.5, 2, 1000.0, 0.5)
    unknown = {name for name, value in row.items() if isnan(value)}
    assert unknown == {"written", "received", "sent", "gpu_memory:a"}, "a counter that went back, or is not there"


def test_a_first_sample_has_no_rates() -> None:
    row = use_row(None, Use(cpu=10.0, memory=1), 0.0, [])
    assert isnan(row["cpu"])
    assert row["memory"] == 1


def test_a_machines_share_of_busy_cpus_stays_between_nothing_and_all() -> None:
    """Counters of the kernel may go back a little."""

    def load(busy: float, total: float) -> Load:
        return Load(busy=busy, total=total, memory=1, swap=0, load=0.5)

    assert load_row(load(10, 100), load(15, 110), 5.0, [])["cpu"] == 0.5
    assert load_row(load(10, 100), load(9, 110), 5.0, [])["cpu"] == 0.0
    assert load_row(load(10, 100), load(50, 110), 5.0, [])["cpu"] == 1.0
    assert isnan(load_row(load(10, 100), load(10, 100), 5.0, [])["cpu"])
