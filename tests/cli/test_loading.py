"""Loading a command's modules without the garbage collector leaves that as it was."""

import gc
from contextlib import suppress

import pytest

from papyra.cli.loading import uncollected


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_rests_in_the_block_and_is_as_before_behind_it(*, was_enabled: bool) -> None:
    if not was_enabled:
        gc.disable()
    try:
        enabled = []
        with suppress(KeyboardInterrupt), uncollected(is_alone=False):
            enabled.append(gc.isenabled())
            raise KeyboardInterrupt
        assert [*enabled, gc.isenabled()] == [False, was_enabled]
    finally:
        gc.enable()


def test_a_program_that_calls_a_command_keeps_its_objects_collectable() -> None:
    before = gc.get_freeze_count()
    with uncollected(is_alone=False):
        pass
    assert gc.get_freeze_count() == before
    try:
        with uncollected(is_alone=True):
            pass
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
