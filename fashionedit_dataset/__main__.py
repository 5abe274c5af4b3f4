"""`python -m fashionedit` is the command."""

from .command import main

main()
