"""Find out what a rewrite would make of a store's files, for dry runs; no file is changed."""

from collections.abc import Collection, Iterable, Sequence

from papyra.backends.files.line_reader import FileLine, forward
from papyra.backends.files.paths import Layout
from papyra.backends.files.read_view import View
from papyra.backends.files.rewrite import filtered
from papyra.reading.keep import RewriteFilter, Verdict
from papyra.reports import Rewritten


def preview(
    layout: Layout, rewrite_filter: RewriteFilter, *, without: Collection[str], timeout: float
) -> Rewritten:
    """
    Show *rewrite_filter* each line that a rewrite would, and return what the files would become.

    Args:
        layout: The store's names.
        rewrite_filter: The filter that a rewrite would be given.
        without: Paths of files that the operation would have dropped before.
        timeout: Seconds to wait for another process that rotates or rewrites the store.

    Raises:
        StoreLockedError: if another process held the store for longer.
        PapyraError: if another process rewrote the store meanwhile.
    """
    before = after = removed = 0
    with View(layout, timeout=timeout, without=without) as view:
        rewrite_filter.begin(view.lines)
        marker = view.marker()
        for file in view.files:
            opened = view.open(file)
            if opened is None:  # dropped by a rotation
                continue
            size = opened.size
            with opened.owner:
                lines = forward(opened.descriptor, size, file.path)
                kept, saved = _sizes(filtered(view, file, lines, marker, rewrite_filter), size)
            rewrite_filter.finish(file.path)
            before += size
            after += kept
            removed += saved
    return Rewritten(before, after, removed)


def _sizes(lines: Iterable[tuple[FileLine, Sequence[Verdict]]], size: int) -> tuple[int, int]:
    """Return the bytes that stay of a file of *size* bytes, and those that would be quarantined."""
    kept, removed, is_changed, ends_line = size, 0, False, True
    for ((_, offset), line), verdicts in lines:
        length = line if isinstance(line, int) else len(line)
        if not is_changed:
            if len(verdicts) == 1 and verdicts[0] == (0, length, None):
                continue
            is_changed, kept = True, offset
        for verdict in verdicts:
            if verdict.anomaly is not None:
                removed += verdict.stop - verdict.start
                continue
            kept += verdict.stop - verdict.start
            if not ends_line:  # a rewrite gives each line its newline
                kept += 1
            if isinstance(line, bytes) and verdict.stop > verdict.start:
                ends_line = line[verdict.stop - 1 : verdict.stop] == b"\n"
    return kept, removed
