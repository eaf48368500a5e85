"""Checks of arguments, frozen settings, memory and locks: what every other package of fastmlp may import."""
