"""Blackrock's NSP and Gemini hubs, by their own packets over UDP."""
