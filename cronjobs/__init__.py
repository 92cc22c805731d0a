"""When things happen: schedules, runs, the ledger, the sweep."""
