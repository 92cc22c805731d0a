"""When nights are: the jobs, their entries in beat's tables, and the slots that nobody ran."""
