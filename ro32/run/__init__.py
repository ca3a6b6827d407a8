"""A run of the scorer: a job is planned, its parts are scored and committed, and a journal records it."""
