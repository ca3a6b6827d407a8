"""The commands: options -> one call -> exit code.

Only this package knows Click, the terminal, signals and the environment. Importing it imports neither torch nor
transformers: each command imports what it runs when it runs.
"""

from ro32.cli import limits, streams

# Before the libraries that a command imports: they open files, and abort where they get no memory.
streams.reserve()
limits.check()
