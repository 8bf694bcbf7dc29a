"""What herbage scores and what it costs, measured. `python -m benchmarks` lists the benchmarks."""
