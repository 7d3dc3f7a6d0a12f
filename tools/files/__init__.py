"""Files of other programs: read into sessions, written from sessions."""
