"""Files and objects in a store (s3://, gs://, az://, https://): durable writes, locks, names. No papers here.

`ro32.storage.client` alone imports the library that asks stores, when one is asked.
"""
