"""Files of recording systems: Blackrock by readers of our own, the others through neo."""
