"""Tasks' records as they are stored (``tasks/lua/shared/record.lua``), changed behind the scripts' back."""

from converge_redis.tasks.replies import record_of

PLACES = {"state": 0, "submitted": 1, "agent": 5, "token": 6, "lease": 7, "listener": 8, "finished": 11}


def fields_of(stored: bytes) -> dict[str, str]:
    """The fields of a record, times as they are in Unix microseconds."""
    return record_of([b"", stored])


def edited(stored: bytes, **fields: str) -> bytes:
    """A record with other fields."""
    head, _, body = stored.partition(b"\n")
    *parts, last = head.decode().split("|")
    fixed, rare = parts[:13], dict(part.split("=", 1) for part in parts[13:])
    for name, value in fields.items():
        if name not in PLACES:
            rare[name] = value
        elif (fixed[PLACES["finished"]] and name in {"token", "finished"}) or name == "finished":
            fixed[PLACES[name]] = str(int(value) - int(fixed[PLACES["submitted"]]))
        else:
            fixed[PLACES[name]] = value
    assert last == ""
    return (
        "|".join([*fixed, *(f"{name}={value}" for name, value in rare.items()), ""]).encode() + b"\n" + body
    )
