"""From raw voltage and joysticks to training windows (the paper's equations 1 to 3)."""
