"""The table of the public API in the docs is up to date, and lists every public name once."""

import api_table


def test_the_table_in_the_docs_is_what_the_script_prints() -> None:
    assert api_table.TABLE.read_text() == api_table.table(), "run scripts/api_table.py --write"
