"""What can be wrong with a backup."""


class BackupFault(Exception):
    """A file is no backup, or damaged, or cannot be made; the text says which and what to do."""
