"""The endpoints for certifications: what mentors hold, what can be held, and what everybody may know."""
