"""How many threads are used: whatever a machine of known speed makes fastest."""

from fastnn.pace import AGAIN_SECONDS, TRIAL_SECONDS, Pace

START = 3e-5  # seconds to start threads, which a run of one step is mostly made of


def train(pace: Pace, step_seconds: dict[int, float], seconds: float) -> dict[int, float]:
    """The time that each number of threads was used for, where steps take so long with them."""
    used = dict.fromkeys(step_seconds, 0.0)
    while sum(used.values()) < seconds:
        threads, steps = pace.next()
        taken = START + steps * step_seconds[threads]
        pace.measured(threads, steps, taken)
        used[threads] += taken
    return used


def test_two_threads_where_they_are_faster() -> None:
    used = train(Pace(2), {1: 100e-6, 2: 60e-6}, 3.0)
    assert used[1] < 0.01 * used[2]


def test_one_thread_for_tiny_steps() -> None:
    used = train(Pace(2), {1: 5e-6, 2: 8e-6}, 3.0)
    assert used[2] < 0.02 * used[1]


def test_a_neighbour_comes_and_goes() -> None:
    pace = Pace(2)
    train(pace, {1: 100e-6, 2: 60e-6}, 2.0)
    beside = train(pace, {1: 100e-6, 2: 250e-6}, 10 * AGAIN_SECONDS)
    assert beside[2] < 0.25 * beside[1]
    after = train(pace, {1: 100e-6, 2: 60e-6}, 10 * AGAIN_SECONDS)
    assert after[1] < 0.25 * after[2]


def test_long_steps_are_not_tried_with_fewer_threads() -> None:
    assert train(Pace(2), {1: 3 * TRIAL_SECONDS, 2: 2 * TRIAL_SECONDS}, 1.0)[1] == 0.0


def test_a_single_thread() -> None:
    assert Pace(1).next() == (1, 1)
    assert train(Pace(1), {1: 50e-6}, 1.0)[1] > 0.9
