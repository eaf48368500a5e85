"""The phases of a step: each is a kernel that does one thread's share of it."""
