"""Core: operations as values, scripts, key names, payloads; nothing here does input or output."""
