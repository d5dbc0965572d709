"""The embedded server: real processes, real kills, real other users."""
