"""Search as pure functions: filters and options in, SQL statements out. No I/O."""
