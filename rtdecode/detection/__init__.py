"""Raw voltage to spikes and spike-band power, live or from a file, in any chunks the same to the last bit."""
