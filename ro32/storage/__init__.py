"""Files and objects in a store (s3://, gs://, az://, https://): durable writes, locks, names. No papers here.

`ro32.storage.client` alone imports the library that asks stores, when one is asked.
Whatever asks a store raises `UnreachableError` where the store fails, and `InputMissingError` or `OutputError` where it
does not allow to read or to write. Whatever uses a disk raises `OSError` where that is full or failed, and what writes
there `OutputError` where it is not allowed to. Docstrings name other errors alone.
"""
