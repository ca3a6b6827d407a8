"""The commands: options -> one call -> exit code.

Only this package knows Click, the terminal, signals and the environment. Importing it imports neither torch nor
transformers: each command imports what it runs when it runs.
"""

from ro32.cli import streams

streams.reserve()  # before a library that a command imports opens a file by the number of a closed stream
