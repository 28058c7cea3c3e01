"""Steps that let a child process know of the fork, whatever failed before it or fails as it is told."""

from typing import Final

from faults.text_mutant import TextMutant

_FORKS: Final = "tests/core/test_forks.py::"

FORKS: Final = (
    TextMutant(
        "a store whose constructor failed stands a fork",
        "backends/files/store.py",
        'getattr(self, "_active", None)',
        "self._active",
        f"{_FORKS}test_a_half_made_store_stands_a_fork_wherever_its_making_ended",
    ),
    TextMutant(
        "an error of one object keeps no other from being told of a fork",
        "system/forks.py",
        "        except BaseException as error:  # noqa: BLE001  raised on once all were told\n",
        "        except KeyboardInterrupt as error:\n",
        f"{_FORKS}test_a_store_whose_own_hook_fails_is_refused_in_the_child_and_the_others_know",
    ),
    TextMutant(
        "what an interrupt kept from being told is told again",
        "system/forks.py",
        "            if waiting and waiting[-1] is failed:\n                del waiting[-1]\n",
        "            if waiting:\n                del waiting[-1]\n",
        f"{_FORKS}test_an_interrupt_as_a_child_is_told_keeps_no_store_from_knowing",
    ),
    TextMutant(
        "a second hook sees to what an interrupt kept the first one from",
        "system/forks.py",
        "    if not _done:\n        _forget_all()\n",
        "",
        f"{_FORKS}test_an_interrupt_as_a_child_is_told_keeps_no_store_from_knowing",
    ),
    TextMutant(
        "a store whose own hook fails is refused",
        "primitives.py",
        "        self._forked = True\n",
        "",
        f"{_FORKS}test_a_store_whose_own_hook_fails_is_refused_in_the_child_and_the_others_know",
    ),
)
