"""What every page of the desk stands on, as `mentors/rest` is what the API stands on."""
