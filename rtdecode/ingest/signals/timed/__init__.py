"""Regular streams beside other arrays, whose samples are put into bins by their time."""
