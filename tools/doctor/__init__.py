"""`rtdecode doctor`: will this machine decode in time?"""
