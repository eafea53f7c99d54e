"""The time-series store behind one port: InfluxDB, SQLite, and a fake for tests."""
