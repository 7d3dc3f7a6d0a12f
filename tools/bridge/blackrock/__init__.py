"""Blackrock's NSP and Gemini hubs, by their own packets over UDP (protocol 4.1 and later)."""
