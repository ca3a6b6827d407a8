"""Files and objects in a store (s3://, gs://, az://, https://): durable writes, locks, names. No papers here.

Only `ro32.storage.client` imports obstore, and only when a store is used.

Docstrings do not repeat these errors: a request to a store raises `UnreachableError` if the store fails, and
`InputMissingError` or `OutputError` if it refuses to be read or written. Use of a disk raises `OSError` if the disk is
full or failed, and `OutputError` if it may not be written.
"""
