"""Commands: one file, one command of `vlbias`; the file's name is what one types, with dashes for underscores.

Contract of a file here: `command(...)`, a function with typer annotations whose docstring is the command's help. It
parses and prints and has no logic of its own. Heavy rooms (torch, decoders, plots) are imported inside it, so that
`vlbias --help` stays light. Commands with a common first word (`organism train`) are methods of one `app` instead.
"""
