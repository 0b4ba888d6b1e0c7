"""What this device has, what each of segrt's features needs, and the command that mends what is missing.

`machine` is the view of a device (the real one, or one from a bug report), `probes` run inside Python processes of
their own, `facts` puts together what was seen, `features` and `remedies` judge it.
"""
