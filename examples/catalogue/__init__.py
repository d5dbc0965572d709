"""A product catalogue that becomes searchable: the application's own models, sessions and migrations."""
