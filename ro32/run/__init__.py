"""A run of the scorer: what was asked for becomes a job, its parts are scored and committed, a journal tells of it."""
