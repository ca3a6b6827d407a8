"""The commands: options -> one call -> exit code.

Only this package knows Click, the terminal, signals and the environment. Importing it imports neither torch nor
transformers: each command imports what it runs when it runs.
"""
