"""Simulation of spikes from behaviour."""
