"""What a night costs, beside a script that does the same sums by hand. `make bench` runs `benchmarks.night`."""
