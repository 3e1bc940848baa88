"""Keep: rows of SQL, on SQLite and on PostgreSQL."""
