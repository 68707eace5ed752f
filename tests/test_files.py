"""What is written appears whole or not at all."""

import pytest

from lib.files import whole


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with whole(path) as new:
        new.write_text("half")
        assert not path.exists() and new.parent == path.parent
        new.write_text("whole")
    assert path.read_text() == "whole" and [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="broke"), whole(path) as new:
        new.write_text("half")
        raise RuntimeError("broke")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_program_left_is_replaced(tmp_path):
    (tmp_path / ".a.txt").write_text("half of an earlier one, and long")
    with whole(str(tmp_path / "a.txt")) as new:
        new.write_text("whole")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "whole")]
