"""The hooks that come with the service, one file each: what happened, for those who watch over it."""
