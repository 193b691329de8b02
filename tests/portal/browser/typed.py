"""What a newcomer types into the terminal."""

SCRIPT = """cat >hello.sh <<'END'
#!/bin/bash
#SBATCH --output=hello.%j
srun hostname
sleep 15
END
sbatch hello.sh
sbatch --job-name=long --wrap 'sleep 600'
"""
"""As in docs/portal.md; a test holds that."""
