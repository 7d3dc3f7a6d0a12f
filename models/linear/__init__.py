"""Linear decoders, fitted without torch."""
