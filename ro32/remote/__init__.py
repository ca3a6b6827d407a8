"""Objects in a store (s3://, gs://, az://, https://) in the places of files.

Only this package knows of stores, and `ro32.remote.client` alone imports the library that asks them, when one is asked.
"""
