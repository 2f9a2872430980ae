"""Comparisons of Polaris with its peers: bench/README.md says what each measures."""
