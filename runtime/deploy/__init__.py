"""From a desk to cameras: over the system's OpenSSH, with a program sent along and plain files on the device.

`rollout` goes to all devices, `host` is one device's way, `ssh` the connection; `device` is what runs there.
`unit` writes the systemd unit, `wheels` chooses the wheel, `plan` says what is wanted, `record` remembers it.
"""
