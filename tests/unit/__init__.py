"""The pure rooms: no database, no model."""
