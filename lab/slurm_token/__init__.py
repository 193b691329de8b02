"""slurm-token: hands a caller that it can identify a short-lived token of Slurm's, for its own account only.

Standard library, the program openssl, and Python 3.9.
"""
