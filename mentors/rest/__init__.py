"""What all endpoints of the API share: errors, strict input, scope, pages, versions, throttles and the schema."""
