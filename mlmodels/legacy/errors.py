"""Why a folder is not imported. The text says what happened, what is safe and what to do."""


class BadFolder(ValueError):
    """The folder, or a file in it, can't be used."""


class RefusedFile(BadFolder):
    """A file names something that no model needs, or is built to do harm. Nothing of it was run."""


def shown(text: str, most: int = 100) -> str:
    """Return words of a stranger as a terminal, a page and the database can take them: printable, and not long."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:most])
