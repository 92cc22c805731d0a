"""Who: organisations, chapters, coordinators, mentors and their status."""
