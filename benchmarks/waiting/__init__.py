"""The processes of the benchmark `queue`: one for each database, all asked in turn."""
