"""Accuracy, speed and reliability of herbage, measured. `python -m benchmarks` lists the benchmarks."""
