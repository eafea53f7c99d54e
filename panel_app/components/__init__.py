"""The views that run in the browser: one ESM component each, fed with JSON text."""
