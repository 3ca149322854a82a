"""The commands by name: in which module each is, and one line about it."""

COMMANDS = (
    ("cp", "transfer", "Copy one object, or a tree with -r."),
    ("sync", "transfer", "Make DST hold what SRC holds."),
    ("ls", "look", "List buckets, or what begins with a prefix."),
    ("stat", "look", "Show what OSS knows about one object."),
    ("cat", "look", "Write one object to standard output."),
    ("rm", "remove", "Delete one object, or a tree with -r."),
    (
        "uploads",
        "uploads",
        "List unfinished multipart uploads of keys that begin with a prefix, or abort them.",
    ),
    ("whoami", "whoami", "Show who OSS thinks we are."),
    ("demo", "demo", "Show keyless access on this machine."),
    ("emulate", "emulate", "Serve OSS and ECS metadata on loopback."),
)
"""Name, module below ``osssync.cli``, and summary, in the order of ``--help``."""
