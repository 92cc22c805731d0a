"""What is true: types, certifications, coverage; reminders and expiry."""
