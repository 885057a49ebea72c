"""Whether the disk is full: from the first refusal until there is room again."""

from pathlib import Path

import pytest

from tina.database.engine.reserve import ENOUGH_BYTES, PLENTY_BYTES, Reserve
from tina.database.engine.room import LOOK_INTERVAL_S, Room


class World:
    """A disk and a clock that the test holds."""

    def __init__(self, folder: Path) -> None:
        self.free_bytes = PLENTY_BYTES
        self.now_s = 100.0
        self.looks = 0
        self.alarms = 0
        self.reserve = Reserve(folder / "tina.db", free=self._free)
        self.reserve.prepare()
        self.looks = 0
        self.room = Room(
            self.reserve, monotonic=lambda: self.now_s, on_full=self._alarm
        )

    def _free(self, _: Path) -> int:
        self.looks += 1
        return self.free_bytes

    def _alarm(self) -> None:
        self.alarms += 1


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_nobody_looks_at_the_disk_while_all_is_well(world: World) -> None:
    assert not world.room.is_full()
    assert world.looks == 0


def test_it_stays_full_while_there_is_no_room(world: World) -> None:
    world.free_bytes = ENOUGH_BYTES - 1
    world.room.ran_out()

    for _ in range(5):
        assert world.room.is_full()
        world.now_s += LOOK_INTERVAL_S
    assert world.alarms == 1


def test_it_is_looked_at_only_now_and_then(world: World) -> None:
    world.free_bytes = 0
    world.room.ran_out()

    for _ in range(10):
        world.now_s += LOOK_INTERVAL_S / 5
        world.room.is_full()

    assert world.looks == 2


def test_it_ends_by_itself_and_the_reserve_is_there_again(world: World) -> None:
    world.free_bytes = 0
    world.room.ran_out()
    world.room.spend_reserve()
    assert world.room.is_full()
    world.free_bytes = PLENTY_BYTES
    world.now_s += LOOK_INTERVAL_S

    assert not world.room.is_full()
    assert world.reserve.is_there()


def test_each_time_it_runs_out_is_told(world: World) -> None:
    world.room.ran_out()
    world.room.ran_out()

    assert world.alarms == 2
