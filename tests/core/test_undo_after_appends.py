"""A recovery is undone although records were appended since."""

from stores import FileKind, event, numbers


def test_a_torn_line_comes_back_though_an_append_began_with_the_same_bytes(
    file_kind: FileKind,
) -> None:
    with file_kind.open() as store:
        store.append(event(1))
        file_kind.put(store, b'{"kind":"event","timest')
        report = store.recover()
        store.append(event(2))

        assert report.quarantine is not None
        assert store.recover(undo=report.quarantine).restored == report.removed == 23

        assert [anomaly.type for anomaly in store.scan().anomalies] == ["truncated_line"]
        assert numbers(store.read()) == [1, 2]
