"""The topic: what pools and tasks are about."""


class Topic(str):
    """The name of a subject that routes a task; a plain string serves as well."""

    __slots__ = ()
