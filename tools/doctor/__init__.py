"""`rtdecode doctor`: can this machine decode in time?"""
