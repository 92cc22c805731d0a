"""What messages say: gathered from the database, put into words, given a form."""
