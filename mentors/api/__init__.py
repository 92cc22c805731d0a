"""The endpoints for people: who logs in, the mentors, their chapters."""
