"""Brings packs to devices: over the system's OpenSSH, with a program that is sent along, and plain files on the device.

`plan` is what is to be done, `rollout` does it on all devices, `host` on one; `ssh` is the connection and `device` what
runs at its other end. `unit` writes the systemd unit, `wheels` chooses segrt's wheel, `rollout_record` is for --resume.
"""
