# The analysis works, but not in a notebook.

#: step run on sms as user1
srun --mem=600M /opt/ohpc/pub/software/jupyter/6.1.1/bin/python3 hub_memory/analysis.py
