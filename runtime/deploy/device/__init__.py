"""What runs on the device: sent along as one zip file, needs Python 3.10 and nothing else.

No module here imports anything but Python's own library and its neighbours. All state is plain files, laid out as
`folders` says and holding what `kept_records` says; `protocol` is what desk and device tell each other.
"""
