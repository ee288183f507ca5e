"""Why a folder is not imported. The text says what happened, what is safe and what to do."""


class BadFolder(ValueError):
    """The folder, or a file in it, can't be used."""


class RefusedFile(BadFolder):
    """A file names something that no model needs, or is built to do harm. Nothing of it was run."""
