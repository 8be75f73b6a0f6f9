"""`alerts demo`: a whole installation on this machine, with a local inbox to look into.

A room above the others, because it starts them all. Nothing here can be reached from a production start:
the command and the inbox refuse every mode but demo.
"""
