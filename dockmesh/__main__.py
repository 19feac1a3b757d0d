"""`python -m dockmesh` is the console script."""

from dockmesh.cli import main

main()
