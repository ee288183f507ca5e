"""The last step of a restore: killed between any two of its renames, the next start finishes it."""

from pathlib import Path

import pytest

from algotrendy.backup import exchange

RENAMES = 8  # the journal, four parts aside, three into place


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A desk with a restored one beside it."""
    for folder in ("postgres", "imports", "valkey", "restoring/postgres", "restoring/imports", "restoring/run"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "of").write_text("new" if folder.startswith("restoring") else "old")
    for name, text in (("secrets.json", "old"), ("restoring/secrets.json", "new")):
        (tmp_path / name).write_text(text)
    return tmp_path


def is_exchanged(data: Path) -> bool:
    [old] = data.glob("replaced-*")
    current = [data / "postgres" / "of", data / "imports" / "of", data / "secrets.json"]
    before = [old / "postgres" / "of", old / "imports" / "of", old / "secrets.json", old / "valkey" / "of"]
    is_new = all(path.read_text() == "new" for path in current)
    return is_new and all(path.read_text() == "old" for path in before) and not (data / "valkey").exists()


def test_the_restored_desk_takes_the_place_of_the_old_one_which_is_kept(data: Path) -> None:
    old = exchange.begin(data)
    assert old.parent == data
    assert is_exchanged(data)
    assert not (data / "restore.json").exists()
    assert exchange.finish(data) is False


@pytest.mark.parametrize("done", range(RENAMES))
def test_one_that_was_killed_after_any_rename_is_finished_later(
    data: Path, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, count = Path.rename, 0

    def killed_after(self: Path, target: Path) -> Path:
        nonlocal count
        if count == done:
            raise Killed
        count += 1
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_after)
        with pytest.raises(Killed):
            exchange.begin(data)
    if done == 0:  # it was not written down yet: the old desk is whole
        assert exchange.finish(data) is False
        assert (data / "postgres" / "of").read_text() == "old"
        return
    assert exchange.finish(data) is True
    assert is_exchanged(data)


def test_a_folder_without_a_desk_gets_the_restored_one(data: Path) -> None:
    for name in ("postgres", "imports", "valkey"):
        (data / name / "of").unlink()
        (data / name).rmdir()
    (data / "secrets.json").unlink()
    exchange.begin(data)
    assert (data / "postgres" / "of").read_text() == "new"
    assert (data / "secrets.json").read_text() == "new"


def test_the_journal_names_no_place_outside(data: Path) -> None:
    (data / "restore.json").write_text('{"old": "../../outside", "aside": ["postgres", "imports"]}')
    exchange.finish(data)
    assert (data / "outside").is_dir()
    assert not (data.parent / "outside").exists()
