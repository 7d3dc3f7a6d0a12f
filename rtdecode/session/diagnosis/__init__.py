"""What is wrong with a file: another format, turned arrays, stray stamps, channels from 1, wrong clocks."""
