"""What compiled code needs of the Python process around it: compilation, its cache, threads, forks and signals."""
