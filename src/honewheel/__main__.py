"""`python -m honewheel` is the command line."""

from honewheel.cli.app import main

main()
