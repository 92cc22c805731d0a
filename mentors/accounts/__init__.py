"""Who logs in and what they may see: roles, invitations, passwords and the second factor."""
