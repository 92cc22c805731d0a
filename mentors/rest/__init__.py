"""What all endpoints of the API do alike: errors, strictness, scope, pages, versions, throttles and their schema."""
