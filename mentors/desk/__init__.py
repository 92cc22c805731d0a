"""The base of every page of the desk, as `mentors/rest` is the base of the API."""
