"""A Django database backend that runs a private PostgreSQL for as long as some process uses it."""
