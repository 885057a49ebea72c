"""The groups of `tina --help`: first the commands, those that are used most on top."""

from cyclopts import Group

ASK = Group("Ask", sort_key=1)
READ = Group("Read", sort_key=2)
KEEP = Group("Keep in order", sort_key=3)
TEND = Group("Tina herself", sort_key=4)
ARGUMENTS = Group("Arguments", sort_key=5)
PARAMETERS = Group("Parameters", sort_key=6)
