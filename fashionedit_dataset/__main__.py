"""`python -m fashionedit` is the command."""

from .cli import main

main()
