"""Every verb, written once, as a builder of operations; the facades only name them."""
