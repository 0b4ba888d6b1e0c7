"""Whole archives through a bundle: sources are cut into clips, workers segment these, rows go to Parquet.

`archive_sources` lists files, `clip_cutting` cuts a video at key frames, `clip_decoding` decodes a clip, `clip_worker`
does both where the bundle is, `crew` says what workers are (`local_crew`: processes, `ray_crew`: a cluster's actors),
`archiving` hands them clips, `archive_dataset` is what they write and `archived_results` reads it again.
"""
