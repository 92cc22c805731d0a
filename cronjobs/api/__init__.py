"""The endpoints for schedules, runs and the ledger."""
