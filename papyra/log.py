"""Warnings to the logger "papyra"; silent unless the program sets up logging."""


def warn(message: str, *args: object) -> None:
    """Log a warning. Never called while a lock is held: a handler may do anything."""
    import logging  # noqa: PLC0415  10 ms that most programs never need papyra to spend

    logger = logging.getLogger("papyra")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.warning(message, *args)
