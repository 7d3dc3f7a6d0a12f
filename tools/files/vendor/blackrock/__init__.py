"""Blackrock: spikes and events (.nev), and analog signals (.ns1 to .ns6) of the same name."""
