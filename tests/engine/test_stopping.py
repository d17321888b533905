"""Early stopping of NTM and Object2Vec, held against the losses the service printed."""

import math

import pytest

from sm_dl.engine.stopping import PatienceWindow

TAIL = "Bad epoch: loss has not improved (enough). Bad count:"


def told(losses, num_epochs=3, tolerance=0.1):
    """Return the epoch that is kept, how many epochs were trained, and the lines of each."""
    window = PatienceWindow(num_epochs, tolerance)
    kept, words = -1, []
    for epoch, loss in enumerate(losses):
        kept = epoch if window.judge(epoch, loss) else kept
        words.append(window.words)
        if window.is_over(epoch):
            return kept, epoch + 1, words
    return kept, len(losses), words


def test_there_is_no_test_before_the_window_is_full():
    _, trained, words = told([5.0, 6.0, 7.0])
    assert (trained, words) == (3, [[], [], []])


def test_training_ends_one_bad_epoch_later_than_patience_suggests():
    assert told([5.0] * 20)[:2] == (0, 3 + 4)


def test_an_improvement_below_the_tolerance_is_bad_and_yet_the_best():
    kept, trained, words = told([5.0, 5.0, 5.0, 4.95])
    assert (kept, trained, words[3][1]) == (3, 4, f"{TAIL}1")


def test_the_tolerance_is_an_absolute_difference_with_sign():
    window = PatienceWindow(1, 0.001)
    window.judge(0, 6.679262)
    window.judge(1, 6.678936)  # as in the service's log: 0.0003 less is bad at 0.001
    assert window.words[-1] == f"{TAIL}1"
    window.judge(2, 7.0)
    assert window.words[-3] == f"{TAIL}2"


def test_an_improvement_of_just_the_tolerance_is_good():
    assert len(told([4.0, 4.0, 4.0, 3.5], tolerance=0.5)[2][3]) == 1


def test_a_good_epoch_sets_the_count_to_zero():
    assert told([5.0] * 6 + [4.0] * 9)[1] == 7 + 4
    assert told([5.0] * 6 + [5.0] * 9)[1] == 7


def test_only_the_last_losses_are_compared_with():
    (line,) = told([1.0, 5.0, 5.0, 5.0, 4.0])[2][4]
    assert line == (
        "patience losses:[5.0, 5.0, 5.0] min patience loss:5.0 current loss:4.0 "
        "absolute loss difference:1.0"
    )


def test_the_end_is_told_in_the_service_s_words():
    assert told([5.0] * 7)[2][-1][1:] == [
        f"{TAIL}4",
        "Bad epochs exceeded patience. Stopping training early!",
        "Early stop condition met. Stopping training.",
    ]


def test_a_window_larger_than_the_epochs_never_ends_training():
    assert told([5.0] * 20, num_epochs=21)[1] == 20


def test_the_best_epoch_counts_from_one_in_words():
    window = PatienceWindow(3, 0.1)
    for epoch, loss in enumerate([3.0, 2.0, 2.5]):
        window.judge(epoch, loss)
    assert window.last_words() == "Best model based on early stopping at epoch 2. Best loss: 2.0"


@pytest.mark.parametrize("first", [math.inf, math.nan])
def test_the_first_epoch_is_the_best_so_far_whatever_its_loss(first):
    assert PatienceWindow(3, 0.1).judge(0, first)


def test_a_run_that_is_gone_on_with_ends_where_the_whole_one_does():
    losses = [5.0, 4.0, 4.2, 4.1, 4.3, 4.0, 4.4, 4.1, 4.1]
    expected = told(losses)
    for cut in range(1, expected[1]):
        first, second = PatienceWindow(3, 0.1), PatienceWindow(3, 0.1)
        for epoch, loss in enumerate(losses[:cut]):
            first.judge(epoch, loss)
        second.load_state_dict(first.state_dict())
        for epoch in range(cut, expected[1]):
            second.judge(epoch, losses[epoch])
        assert (second.is_over(expected[1] - 1), second.words) == (True, expected[2][-1])
        assert (
            second.last_words() == "Best model based on early stopping at epoch 2. Best loss: 4.0"
        )
