"""Read and edit task records as they are stored (``tasks/lua/shared/record.lua``)."""

from urllib.parse import unquote

from converge_redis.tasks.record import RecordHead, decode_record

PLACES = {"state": 0, "submitted": 1, "agent": 5, "token": 6, "lease": 7, "listener": 8, "finished": 11}


def fields_of(stored: bytes) -> dict[str, str]:
    """Return the fields of a record that are set; times are Unix microseconds."""
    head = decode_record([b"", stored]).head
    fields = {name: getattr(head, name) for name in RecordHead._fields[1:12]}
    fields |= {name: str(getattr(head, name) or "") for name in ("token", "finished")}
    fields |= {"state": head.state.value, "agent": head.holder or ""}
    fields |= {name: unquote(value) for name, _, value in (part.partition("=") for part in head.options)}
    if fields["agent"] and "claimed" not in fields:
        fields["claimed"] = fields["token"]
    return {name: value for name, value in fields.items() if value and not name.startswith("stored_")}


def edited(stored: bytes, **fields: str) -> bytes:
    """Return the record with other fields."""
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
