"""The program `rollout`: takes a cluster to a wanted image by rolling reboots that drop no job.

Standard library only, Python 3.9 and later; imports nothing else of this project. See README.md, "Design".
"""
