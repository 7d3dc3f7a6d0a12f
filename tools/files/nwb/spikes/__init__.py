"""Sources of spikes: tables of units, series of counts, and waveforms of events."""
