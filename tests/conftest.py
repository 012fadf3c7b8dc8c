import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

settings.register_profile("repeatable", derandomize=True)
if "NEW_EXAMPLES" not in os.environ:
    settings.load_profile("repeatable")
