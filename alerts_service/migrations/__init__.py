"""The schema's history, applied by `alerts init`."""
