"""What lies in the files of a log of segments, whatever the log has handed out."""


def stored(log):
    """The (boot, seq) of all its frames."""
    found = []
    for segment in log.segments:
        found.extend([identity for _, identity, _ in log.files.identities(segment)])
    return found
